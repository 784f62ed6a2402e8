package main_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ftpalg/ftpalg/deploy/lab"
)

// bus is a system bus for firewalld alone. It starts nothing else: without polkit, firewalld
// asks who is root.
const bus = `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
	<type>system</type>
	<listen>unix:path=/run/dbus/system_bus_socket</listen>
	<auth>EXTERNAL</auth>
	<policy context="default">
		<allow user="root"/>
		<allow own="*"/>
		<allow send_type="method_call"/>
		<allow send_type="signal"/>
		<allow send_requested_reply="true"/>
		<allow receive_type="method_call"/>
		<allow receive_type="method_return"/>
		<allow receive_type="error"/>
		<allow receive_type="signal"/>
	</policy>
</busconfig>
`

// startsFirewalld runs firewalld on a host, with the configuration that its package has.
func startsFirewalld(on func(*lab.Lab) *lab.Host) func(*testing.T, *lab.Lab) {
	return func(t *testing.T, l *lab.Lab) {
		t.Helper()
		installs("firewalld")(t, l)
		if err := os.WriteFile(l.Path("/run/lab/bus.conf"), []byte(bus), 0o644); err != nil {
			t.Fatal(err)
		}
		h := on(l)
		// What runs in the background has to let go of the output.
		if out, err := run(t, h, `set -e
			mkdir /run/dbus
			dbus-daemon --config-file /run/lab/bus.conf --fork --nopidfile
			firewalld --nofork --nopid --log-target console >/run/log/firewalld.log 2>&1 &`); err != nil {
			t.Fatal(err, out)
		}
		eventually(t, time.Minute, "firewalld runs", func() bool {
			out, _ := run(t, h, "firewall-cmd --state")
			return out == "running\n"
		})
		t.Cleanup(func() {
			if t.Failed() {
				log, _ := os.ReadFile(l.Path("/run/log/firewalld.log"))
				t.Logf("firewalld's log:\n%s", log)
			}
		})
	}
}

func TestFirewalld(t *testing.T) {
	t.Parallel()
	fw := newFirewalled(t, theGateway, section(t, "firewalld", "A gateway"), "firewall-cmd --reload", startsFirewalld(theGateway))
	fw.helps()
	fw.reload = "firewall-cmd --complete-reload"
	fw.reloads()
	if log := fw.daemon.Log(); strings.Contains(log, `"ERROR"`) {
		t.Error("a reload in several steps is told as an error")
	}
}

func TestFirewalldOfAServer(t *testing.T) {
	t.Parallel()
	at := func(l *lab.Lab) *lab.Host { return l.Server }
	fw := newFirewalled(t, at, section(t, "firewalld", "An FTP server"), "firewall-cmd --reload", startsFirewalld(at))
	fw.open = true
	fw.helps()
}
