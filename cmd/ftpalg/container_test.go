package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// inNetworkOf does f on a thread in the network namespace of a process.
func inNetworkOf(t *testing.T, pid int, f func() error) {
	t.Helper()
	done := make(chan error)
	go func() { // the thread is not given back
		done <- func() error {
			ns, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", pid))
			if err != nil {
				return err
			}
			defer ns.Close()
			runtime.LockOSThread()
			if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
				return err
			}
			return f()
		}()
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// In a container, root has CAP_NET_ADMIN over the container's network, and not over the
// machine's: what the kernel asks the first user namespace for is refused there.
func TestInAUserNamespace(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: it makes namespaces")
	}
	dir := t.TempDir()
	config := filepath.Join(dir, "ftpalg.toml")
	if err := os.WriteFile(config, []byte(guarded+"api.socket = \""+filepath.Join(dir, "s")+"\"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "rules"), []byte(operators), 0o644); err != nil {
		t.Fatal(err)
	}
	p := &process{Cmd: exec.Command("sh", "-c", "mount -t tmpfs tmpfs /run && ip link set lo up && nft -f "+dir+"/rules && exec ftpalg run --config "+config), t: t, read: make(chan struct{})}
	p.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWNET | unix.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{HostID: 0, Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: 0, Size: 1}},
	}
	p.begin()
	p.await("msg", "ready")
	var client, server net.Conn
	inNetworkOf(t, p.Process.Pid, func() error {
		control, err := net.Listen("tcp4", "127.0.0.1:21")
		if err != nil {
			return err
		}
		defer control.Close()
		if client, err = net.Dial("tcp4", "127.0.0.1:21"); err != nil {
			return err
		}
		server, err = control.Accept()
		return err
	})
	defer client.Close()
	defer server.Close()
	say := func(from, to net.Conn, line string) {
		t.Helper()
		_, _ = io.WriteString(from, line+"\r\n")
		_ = to.SetReadDeadline(time.Now().Add(5 * time.Second))
		if got, err := bufio.NewReader(to).ReadString('\n'); got != line+"\r\n" {
			t.Fatalf("%q arrived as %q, %v", line, got, err)
		}
	}
	say(server, client, "220 hello")
	say(client, server, "USER ftpuser")
	say(server, client, "230 in")
	say(client, server, "PORT 127,0,0,1,180,117")
	say(server, client, "200 ok")
	say(client, server, "RETR x")
	inNetworkOf(t, p.Process.Pid, func() error {
		data, err := net.Listen("tcp4", "127.0.0.1:46197")
		if err != nil {
			return err
		}
		defer data.Close()
		for port, want := range map[int]bool{21000: false, 20: true} {
			d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port}, Timeout: time.Second}
			conn, err := d.Dial("tcp4", "127.0.0.1:46197")
			if (err == nil) != want {
				t.Errorf("from port %d: %v", port, err)
			}
			if err == nil {
				conn.Close()
			}
		}
		return nil
	})
	say(server, client, "226 done")
	p.await("event", "pinhole.used")
	if room := p.find("msg", "a burst of packets has less room than it should: see sysctl net.core.rmem_max"); room == nil {
		t.Error("nobody says that the queue has less room")
	} else if room["bytes"].(float64) < 64<<10 {
		t.Errorf("the queue has room for %v bytes", room["bytes"])
	}
	if r := p.find("level", "ERROR"); r != nil {
		t.Errorf("it does not all work: %v", r)
	}
	p.stop(unix.SIGTERM)
}
