package lab_test

import (
	"context"
	"testing"
	"time"

	"github.com/ftpalg/ftpalg/deploy/lab"
)

func newLab(t *testing.T, o lab.Options) *lab.Lab {
	t.Helper()
	if err := lab.Available(); err != nil {
		t.Skip(err)
	}
	l, err := lab.New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func TestTmp(t *testing.T) {
	t0 := time.Now()
	l := newLab(t, lab.Options{Ruleset: lab.Ruleset("open")})
	t.Log(time.Since(t0))
	t0 = time.Now()
	_, err := l.StartVSFTPD(t.Context(), lab.VSFTPDOptions{})
	t.Log(time.Since(t0), err)
	for _, c := range []string{
		"lftp -d -e 'set net:max-retries 1; set ftp:passive-mode off; get R1.cfg; ls; exit' -u ftpuser,ftppass 10.2.5.5; ls -l; cat /run/log/vs*",
	} {
		out, err := l.Client.Command(context.Background(), "sh", "-c", c).CombinedOutput()
		t.Logf("%v %s", err, out)
	}
	t0 = time.Now()
	l.Close()
	t.Log(time.Since(t0))
}
