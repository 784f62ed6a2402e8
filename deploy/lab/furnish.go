package lab

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// netnsDir is where the ip program expects named networks; `ip netns` works inside.
const netnsDir = "/run/netns/"

const (
	ftpUser = "ftpuser"
	ftpUID  = 1000

	// ftpHash is "ftppass", as crypt(5) has it. In the lab's own passwd(5), it needs no shadow.
	ftpHash = "$6$ftplab$nKrTFwrY3FWl8xroJHdDeCsZL6jSV2fb4HRtCyCdIatCSgPh8UFPSQTc0qPCBO0639U/7qWr.jARexKODAn6h0"
)

// ServerFiles is the directory of the FTP user, as the lab's programs see it. What the
// FTP server holds is there.
const ServerFiles = "/home/ftpuser/ftp"

// R1 is the file that the reference dialogue downloads: 38 bytes.
const R1 = "hello world\nthis is\nR1's config file!\n"

// r1Time makes MDTM answer as in the reference dialogue. The listing has the year in
// place of the hour, because the file is no longer of the last six months; its length is the same.
var r1Time = time.Date(2019, time.March, 25, 10, 13, 18, 0, time.UTC)

//go:embed pam.conf
var pamConf string

// furnish mounts what the lab's programs write to or expect to find, and makes the networks.
func (l *Lab) furnish(ctx context.Context) error {
	err := onThread(func() error {
		if err := l.enterLab(); err != nil {
			return err
		}
		if err := mountRun(); err != nil {
			return err
		}
		if err := mountHome(); err != nil {
			return err
		}
		if err := mountEtc(); err != nil {
			return err
		}
		return l.makeHosts()
	})
	if err != nil {
		return err
	}
	// Last: the thread above finds itself in the /proc of outside.
	if out, err := l.Gateway.Command(ctx, "mount", "-t", "proc", "proc", "/proc").CombinedOutput(); err != nil {
		return fmt.Errorf("mounting /proc: %w: %s", err, out)
	}
	return nil
}

// mountRun gives the lab a /run of its own: sockets, logs, the hosts' home directories.
func mountRun() error {
	if err := mountTmpfs("/run"); err != nil {
		return err
	}
	dirs := []string{netnsDir, binDir, logDir, "/run/ftpalg", "/run/lock", "/run/vsftpd/empty"}
	for _, name := range hostNames {
		dirs = append(dirs, "/run/lab/"+name)
	}
	for _, dir := range dirs {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	return nil
}

// mountHome adds the FTP user's home to /home, and keeps what else is there.
func mountHome() error {
	old, err := os.Open("/home")
	if err != nil {
		return err
	}
	defer old.Close()
	entries, err := old.ReadDir(-1)
	if err != nil {
		return err
	}
	if err := mountTmpfs("/home"); err != nil {
		return err
	}
	for _, e := range entries {
		if !e.IsDir() || e.Name() == ftpUser {
			continue
		}
		target := filepath.Join("/home", e.Name())
		source := fmt.Sprintf("/proc/thread-self/fd/%d/%s", old.Fd(), e.Name())
		if err := os.Mkdir(target, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(source, target, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			return fmt.Errorf("mounting %s again: %w", target, err)
		}
	}
	return ftpFiles()
}

func ftpFiles() error {
	if err := os.MkdirAll(ServerFiles, 0o755); err != nil {
		return err
	}
	r1 := filepath.Join(ServerFiles, "R1.cfg")
	if err := os.WriteFile(r1, []byte(R1), 0o644); err != nil {
		return err
	}
	for _, path := range []string{ServerFiles, r1} {
		if err := os.Chown(path, ftpUID, ftpUID); err != nil {
			return err
		}
	}
	if err := os.Chtimes(r1, r1Time, r1Time); err != nil {
		return err
	}
	return os.WriteFile("/run/lab/client/R3.cfg", []byte(R3), 0o644)
}

// mountEtc puts the lab's users, names and log-in rules over those of the machine.
func mountEtc() error {
	passwd, err := os.ReadFile("/etc/passwd")
	if err != nil {
		return err
	}
	group, err := os.ReadFile("/etc/group")
	if err != nil {
		return err
	}
	user := fmt.Sprintf("%s:%s:%d:%d::%s:/bin/sh\n", ftpUser, ftpHash, ftpUID, ftpUID, ServerFiles)
	own := fmt.Sprintf("%s:x:%d:\n", ftpUser, ftpUID)
	var names strings.Builder
	names.WriteString("127.0.0.1 localhost\n::1 localhost\n")
	for _, p := range ports {
		if p.main {
			fmt.Fprintf(&names, "%s %s\n%s %s\n", p.v4.Addr(), p.host, p.v6.Addr(), p.host)
		}
	}
	// First of its name, or number, wins: the machine may have one like it.
	for path, text := range map[string]string{
		"/etc/passwd":       user + string(passwd),
		"/etc/group":        own + string(group),
		"/etc/hosts":        names.String(),
		"/etc/pam.d/vsftpd": pamConf,
	} {
		if err := cover(path, text); err != nil {
			return err
		}
	}
	return nil
}

// cover shows text in place of a file, in the lab's mounts alone. A file that does
// not exist is left so: what would read it is not installed.
func cover(path, text string) error {
	if _, err := os.Stat(path); os.IsNotExist(err) {
		return nil
	}
	copied := filepath.Join("/run/lab", filepath.Base(filepath.Dir(path))+"-"+filepath.Base(path))
	if err := os.WriteFile(copied, []byte(text), 0o644); err != nil {
		return err
	}
	if err := unix.Mount(copied, path, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("mounting the lab's %s: %w", path, err)
	}
	return nil
}

func mountTmpfs(dir string) error {
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0755"); err != nil {
		return fmt.Errorf("mounting a tmpfs on %s: %w", dir, err)
	}
	return nil
}
