package lab_test

import (
	"testing"

	"github.com/ftpalg/ftpalg/deploy/lab"
)

func TestTmp2(t *testing.T) {
	l := newLab(t, lab.Options{Ruleset: lab.Ruleset("open")})
	_, err := l.StartVSFTPD(t.Context(), lab.VSFTPDOptions{})
	if err != nil {
		t.Fatal(err)
	}
	in, err := l.Gateway.Capture("inside")
	if err != nil {
		t.Fatal(err)
	}
	out, err := l.Gateway.Capture("outside")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []string{lab.DownloadAndList, lab.Upload} {
		o, err := l.Client.LFTP(t.Context(), c).CombinedOutput()
		t.Logf("%v %s", err, o)
	}
	for _, c := range lab.Connections(lab.Merge(in, out)) {
		t.Log(c.From, c.To, len(c.Segments))
		if c.To.Port() == 21 {
			for _, li := range c.Lines() {
				t.Logf("%+v", li)
			}
		}
	}
}
