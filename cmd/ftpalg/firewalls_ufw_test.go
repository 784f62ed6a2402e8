package main_test

import (
	"testing"

	"github.com/ftpalg/ftpalg/deploy/lab"
)

// installsUFW does what the package's own script does with its templates.
func installsUFW(t *testing.T, l *lab.Lab) {
	t.Helper()
	installs("ufw")(t, l)
	if out, err := run(t, l.Gateway, `set -e
		cd /usr/share/ufw
		cp iptables/*.rules before.init after.init ufw.conf /etc/ufw/
		chmod 640 /etc/ufw/*`); err != nil {
		t.Fatal(err, out)
	}
}

func TestUFW(t *testing.T) {
	t.Parallel()
	newFirewalled(t, theGateway, section(t, "ufw", "A gateway"), "ufw reload", installsUFW).helps()
}

func TestUFWOfAServer(t *testing.T) {
	t.Parallel()
	at := func(l *lab.Lab) *lab.Host { return l.Server }
	fw := newFirewalled(t, at, section(t, "ufw", "An FTP server"), "ufw reload", installsUFW)
	fw.open = true
	fw.helps()
}
