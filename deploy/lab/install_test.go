package lab_test

import (
	"errors"
	"os"
	"testing"

	"github.com/ftpalg/ftpalg/deploy/lab"
)

// What is installed, and what programs then write, is seen in the lab alone.
func TestInstall(t *testing.T) {
	t.Parallel()
	l := newLab(t, lab.Options{})
	if err := l.Install(t.Context(), "firewalld"); err != nil {
		t.Fatal(err)
	}
	out, err := l.Gateway.Command(t.Context(), "sh", "-c", `command -v firewalld && cat /etc/hosts && touch /etc/of-the-lab /usr/of-the-lab /var/of-the-lab`).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, dir := range []string{"/usr", "/etc", "/var"} {
		if _, err := os.Stat(dir + "/of-the-lab"); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s/of-the-lab is on the machine: %v", dir, err)
		}
	}
	missing := (*lab.MissingError)(nil)
	if err := l.Install(t.Context(), "no-such-package"); !errors.As(err, &missing) {
		t.Errorf("a package that is not unpacked: %v", err)
	}
}
