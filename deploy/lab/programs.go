package lab

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// searchPath is where programs are found. Daemons and nft live in the sbin
// directories, which an ordinary PATH may lack. binDir comes first, for programs that
// are not installed on the machine.
const (
	searchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	binDir     = "/run/lab/bin"
)

// packages names the Debian package of the programs that the lab and its users run.
var packages = map[string]string{
	"conntrack": "conntrack",
	"curl":      "curl",
	"ip":        "iproute2",
	"lftp":      "lftp",
	"mount":     "mount",
	"ncftpget":  "ncftp",
	"nft":       "nftables",
	"nmap":      "nmap",
	"proftpd":   "proftpd-core",
	"pure-ftpd": "pure-ftpd",
	"pyftpdlib": "python3-pyftpdlib",
	"tcpdump":   "tcpdump",
	"tnftp":     "tnftp",
	"tshark":    "tshark",
	"vsftpd":    "vsftpd",
	"wget":      "wget",
}

// unpacked are the programs whose Debian packages cannot be installed beside that of
// vsftpd. `make test` unpacks each to .cache/deb/PACKAGE, below the root of the module.
var unpacked = []string{"proftpd", "pure-ftpd"}

// unpackedDir finds that place from the working directory upwards, as the go command
// finds go.mod. Tests run in the directory of their package.
var unpackedDir = sync.OnceValue(func() string {
	dir, err := os.Getwd()
	for ; err == nil; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return filepath.Join(dir, ".cache/deb")
		}
		if dir == filepath.Dir(dir) {
			break
		}
	}
	return ""
})

// MissingError says that a program is not installed.
type MissingError struct {
	Program string
	Package string // of Debian; empty: not known
}

// Error names the program and the package.
func (e *MissingError) Error() string {
	if e.Package == "" {
		return e.Program + " is not installed"
	}
	return fmt.Sprintf("%s is not installed: it is in the Debian package %s", e.Program, e.Package)
}

// Unwrap makes errors.Is(err, exec.ErrNotFound) true.
func (e *MissingError) Unwrap() error { return exec.ErrNotFound }

// Require returns nil where all these programs are installed, and otherwise a
// *MissingError for the first that is not.
func Require(programs ...string) error {
	for _, p := range programs {
		if _, err := lookPath(p); err != nil {
			return err
		}
	}
	return nil
}

func executable(path string) bool {
	s, err := os.Stat(path)
	return err == nil && s.Mode().IsRegular() && s.Mode()&0o111 != 0
}

func (h *Host) lookPath(name string) (string, error) {
	if path := filepath.Join(binDir, name); !strings.Contains(name, "/") && executable(h.lab.Path(path)) {
		return path, nil
	}
	return lookPath(name)
}

// lookPath finds a program as exec.LookPath does, but where the lab looks.
func lookPath(name string) (string, error) {
	if strings.Contains(name, "/") {
		return filepath.Abs(name)
	}
	for dir := range strings.SplitSeq(searchPath, ":") {
		if path := filepath.Join(dir, name); executable(path) {
			return path, nil
		}
	}
	if dir := unpackedDir(); dir != "" && slices.Contains(unpacked, name) {
		if path := filepath.Join(dir, packages[name], "usr/sbin", name); executable(path) {
			return path, nil
		}
	}
	return name, &MissingError{Program: name, Package: packages[name]}
}
