package attack

import (
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"
)

var sample = &Matrix{
	Firewalls: []Firewall{
		{Name: "open", Title: "open", About: "Plain routing.", Exposure: Exposure{65535, 3600, 235926000}, ToServer: Exposure{65535, 3600, 235926000}},
		{Name: "ftpalg", Title: "stateful with ftpalg", About: "Follows the dialogue.", ToServer: Exposure{1, 0.000437841, 0.000437841}},
	},
	Rows: []Row{
		{Name: "download", About: "In active mode.", Cells: []Cell{{Works, "in 3 ms"}, {Blocked, "gave up"}}},
		{Name: "low port", Attack: true, About: "Port 22.", Cells: []Cell{{Reached, "after 1 ms"}, {Blocked, "no answer"}}},
	},
	Notes: []string{"There is no helper."},
}

const printed = `                   open         ftpalg
-----------------------------------------
download           works      ! blocked
-----------------------------------------
low port         ! reached      blocked
-----------------------------------------
ports, stranger    65535        0
seconds            3600         0
ports x seconds    235926000    0
-----------------------------------------
ports, server      65535        1
seconds            3600         0.00044
ports x seconds    235926000    0.00044

stranger, server: how many ports of the client a third host outside can reach, and how
many the server that the client talks to; and for how long, in an hour with one transfer
and one PORT that the server refuses.

open: Plain routing.
ftpalg: Follows the dialogue.
There is no helper.
`

const details = `
download: In active mode.
  open         works, in 3 ms
  ftpalg     ! blocked, gave up

low port: Port 22.
  open       ! reached, after 1 ms
  ftpalg       blocked, no answer
`

func TestPrint(t *testing.T) {
	for _, tc := range []struct {
		printer Printer
		want    string
	}{
		{Printer{}, printed},
		{Printer{Details: true}, printed + details},
	} {
		var b strings.Builder
		tc.printer.Writer = &b
		if err := tc.printer.Matrix(sample); err != nil || b.String() != tc.want {
			t.Errorf("%v\n%s\nwant\n%s", err, b.String(), tc.want)
		}
	}
	var b strings.Builder
	p := Printer{Writer: &b, Color: true, Width: 40}
	if err := p.Matrix(sample); err != nil || !strings.Contains(b.String(), "! \x1b[31mreached\x1b[0m") {
		t.Errorf("%v: %s", err, b.String())
	}
	if !strings.Contains(b.String(), "\nstranger, server: how many ports of the\n") {
		t.Errorf("not broken at 40 columns: %s", b.String())
	}
}

func TestPrintFails(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	_, _ = r.Close(), w.Close()
	if err := (&Printer{Writer: w}).Matrix(sample); !errors.Is(err, os.ErrClosed) {
		t.Error(err)
	}
}

func TestJSON(t *testing.T) {
	text, err := json.Marshal(sample)
	if err != nil {
		t.Fatal(err)
	}
	var m Matrix
	if err := json.Unmarshal(text, &m); err != nil || !reflect.DeepEqual(&m, sample) {
		t.Errorf("%v: %+v", err, m)
	}
}
