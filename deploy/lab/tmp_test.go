package lab_test

import (
	"context"
	"testing"
	"github.com/ftpalg/ftpalg/deploy/lab"
)

func TestTmp2(t *testing.T) {
	l := newLab(t, lab.Options{Ruleset: lab.Ruleset("open")})
	_, err := l.StartVSFTPD(t.Context(), lab.VSFTPDOptions{})
	if err != nil { t.Fatal(err) }
	for _, c := range []string{
		"lftp -e 'set net:max-retries 1; set ftp:passive-mode off; ls; exit' -u ftpuser,ftppass 10.2.5.5; echo two",
		"lftp -e 'set net:max-retries 1; set ftp:passive-mode off; ls; get R1.cfg; exit' -u ftpuser,ftppass 10.2.5.5; echo three",
		"lftp -c 'open -u ftpuser,ftppass 10.2.5.5; set ftp:passive-mode off; ls; get R1.cfg; exit' ; echo 4",
		"setsid -w lftp -e 'set net:max-retries 1; set ftp:passive-mode off; get -e R1.cfg; ls; exit' -u ftpuser,ftppass 10.2.5.5; echo 5; sleep 0.1; ps -ef",
		} {
		out, err := l.Client.Command(context.Background(), "sh", "-c", c).CombinedOutput()
		t.Logf("%v %s", err, out)
	}
}
