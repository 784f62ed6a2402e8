package main

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

const unit = "../../deploy/systemd/ftpalg.service"

// What somebody could do with the daemon who has taken it over, by systemd's own measure: 0
// is nothing, 10 all.
func TestTheUnitTakesAwayWhatIsNotNeeded(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("systemd-analyze", "security", "--offline=true", "--threshold=15", unit).CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// Every line is one that systemd knows, but for two that the unit says are new, and for
// the program, which need not be installed here.
func TestTheUnitIsUnderstood(t *testing.T) {
	t.Parallel()
	out, _ := exec.Command("systemd-analyze", "verify", unit).CombinedOutput()
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "ftpalg.service") && !strings.Contains(line, "service type, ignoring: notify-reload") &&
			!strings.Contains(line, "Unknown key 'OpenFile'") && !strings.Contains(line, "/usr/sbin/ftpalg is not executable") && !strings.Contains(line, "User ftpalg") {
			t.Error(line)
		}
	}
}

// The unit has the daemon's own user, whom sysusers makes, CAP_NET_ADMIN alone, and the
// folder of the sessions for nobody else.
func TestTheUnit(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(unit)
	if err != nil {
		t.Fatal(err)
	}
	users, err := os.ReadFile("../../deploy/systemd/ftpalg.sysusers")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"Type=notify-reload", "WatchdogSec=30", "User=ftpalg", "CapabilityBoundingSet=CAP_NET_ADMIN", "AmbientCapabilities=CAP_NET_ADMIN",
		"RuntimeDirectory=ftpalg", "RuntimeDirectoryPreserve=yes", "ReloadPropagatedFrom=firewalld.service nftables.service",
	} {
		if !regexp.MustCompile("(?m)^" + regexp.QuoteMeta(line) + "$").Match(text) {
			t.Errorf("the unit has no line %q", line)
		}
	}
	for _, manager := range []string{"nftables", "netfilter-persistent", "firewalld", "ufw", "shorewall", "docker"} {
		if !regexp.MustCompile(`(?m)^After=.*\b` + manager + `\.service\b`).Match(text) {
			t.Errorf("the unit is not after %s", manager)
		}
	}
	if !regexp.MustCompile(`(?m)^u ftpalg - `).Match(users) {
		t.Errorf("no user is made:\n%s", users)
	}
}
