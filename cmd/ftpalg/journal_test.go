package main_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ftpalg/ftpalg/deploy/lab"
)

// journald is where Debian has it.
const journald = "/usr/lib/systemd/systemd-journald"

// journal starts systemd's journal in the lab's own /run.
func (g *gateway) journal() {
	g.t.Helper()
	if _, err := os.Stat(journald); err != nil {
		g.t.Skip("needs systemd-journald:", err)
	}
	const keepOut = "[Journal]\nStorage=volatile\nReadKMsg=no\nAudit=no\nForwardToSyslog=no\n" // of the machine's own logs
	if err := os.MkdirAll(g.Path("/run/systemd/journald.conf.d"), 0o755); err != nil {
		g.t.Fatal(err)
	}
	if err := os.WriteFile(g.Path("/run/systemd/journald.conf.d/lab.conf"), []byte(keepOut), 0o644); err != nil {
		g.t.Fatal(err)
	}
	if err := g.Gateway.Command(g.t.Context(), journald).Start(); err != nil {
		g.t.Fatal(err)
	}
	eventually(g.t, 10*time.Second, "the journal listens", func() bool {
		_, err := run(g.t, g.Gateway, "journalctl --sync")
		return err == nil
	})
}

// journaled returns the records that match, as journalctl tells them.
func (g *gateway) journaled(match string) (records []map[string]any) {
	g.t.Helper()
	out, err := run(g.t, g.Gateway, "journalctl --sync && journalctl --quiet --output json "+match)
	if err != nil {
		g.t.Fatal(err, out)
	}
	for line := range strings.Lines(out) {
		var r map[string]any
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			g.t.Fatal(err, line)
		}
		records = append(records, r)
	}
	return records
}

// Under systemd, the journal has each record with its parts as fields.
func TestRecordsAreFieldsOfTheJournal(t *testing.T) {
	t.Parallel()
	g := &gateway{Lab: newLab(t), t: t}
	g.journal()
	bin, err := program()
	if err != nil {
		t.Fatal(err)
	}
	// What systemd does for a service: its stderr is a stream to the journal, which JOURNAL_STREAM names.
	const service = `JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2) exec "$0" run`
	daemon := g.Gateway.Command(t.Context(), "systemd-cat", "-t", "stream", "sh", "-c", service, bin)
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, 10*time.Second, "the daemon is ready", func() bool { return len(g.journaled("FTPALG_QUEUE=21000")) > 0 })
	f := g.families()[0]
	c := g.login(f)
	c.c("PORT 10,1,4,4,0,22")
	c.s("200 ok")
	var refused []map[string]any
	eventually(t, 5*time.Second, "the refusal is in the journal", func() bool {
		refused = g.journaled("FTPALG_EVENT=pinhole.refused")
		return len(refused) > 0
	})
	if t.Failed() {
		return
	}
	client, session := c.client.LocalAddr().String(), refused[0]["FTPALG_SESSION"]
	for field, want := range map[string]any{
		"FTPALG_CLIENT": client, "FTPALG_SERVER": "10.2.5.5:21", "FTPALG_REASON": "a port below the lowest allowed",
		"FTPALG_MODE": "active", "FTPALG_PORT": "22", "FTPALG_SOURCE_PORT": "20",
		"PRIORITY": "6", "SYSLOG_IDENTIFIER": "ftpalg", "_TRANSPORT": "journal",
		"MESSAGE": fmt.Sprintf(`pinhole refused: session=%v client=%v server=10.2.5.5:21 reason="a port below the lowest allowed"`+
			" mode=active source=10.2.5.5 source_port=20 address=10.1.4.4 port=22", session, client),
	} {
		if got := refused[0][field]; got != want {
			t.Errorf("%s is\n%v, want\n%v", field, got, want)
		}
	}
	if started := g.journaled(fmt.Sprintf("FTPALG_EVENT=session.start FTPALG_SESSION=%v", session)); len(started) != 1 {
		t.Errorf("session %v began %d times", session, len(started))
	}
	if n := len(g.journaled("_TRANSPORT=stdout")); n > 0 {
		t.Errorf("%d records came by stderr", n)
	}
	_ = daemon.Process.Signal(os.Interrupt)
	_ = daemon.Wait()
	if n := len(g.journaled("FTPALG_EVENT=session.end")); n != 1 {
		t.Errorf("%d ends of sessions in the journal", n)
	}
}

// Where stderr is not the stream that JOURNAL_STREAM names, it is written to.
func TestAStreamThatIsNotTheJournals(t *testing.T) {
	t.Parallel()
	g := &gateway{Lab: newLab(t), t: t}
	bin, err := program()
	if err != nil {
		t.Fatal(err)
	}
	if g.daemon, err = g.StartDaemon(t.Context(), lab.DaemonOptions{Binary: bin, Env: []string{"JOURNAL_STREAM=9:1"}}); err != nil {
		t.Fatal(err)
	}
	if log := g.daemon.Log(); !strings.Contains(log, `"msg":"ready"`) {
		t.Errorf("the log is\n%s", log)
	}
}
