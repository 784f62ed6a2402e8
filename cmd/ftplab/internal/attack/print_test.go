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
		{Name: "open", Title: "open", About: "Plain routing.", Exposure: Exposure{65535, 3600, 235926000}},
		{Name: "ftpalg", Title: "stateful with ftpalg", About: "Follows the dialogue.", Exposure: Exposure{1, 0.000437841, 0.000437841}},
	},
	Rows: []Row{
		{Name: "download", About: "In active mode.", Cells: []Cell{{Works, "in 3 ms"}, {Blocked, "gave up"}}},
		{Name: "low port", Attack: true, About: "Port 22.", Cells: []Cell{{Reached, "after 1 ms"}, {Blocked, "no answer"}}},
	},
	Notes: []string{"There is no helper."},
}

const printed = `            open         ftpalg
---------------------------------------
download      works      ! blocked
---------------------------------------
low port    ! reached      blocked
---------------------------------------
`

func TestPrint(t *testing.T) {
	var b strings.Builder
	p := Printer{Writer: &b, Details: true}
	if err := p.Matrix(sample); err != nil {
		t.Fatal(err)
	}
	t.Log("\n" + b.String())
	for _, want := range []string{"Plain routing.", "There is no helper.", "! reached, after 1 ms\n", "235926000", "0.00044"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is missing", want)
		}
	}
	if strings.Contains(b.String(), "\x1b") {
		t.Error("colours that nobody wants")
	}
	b.Reset()
	p.Color = true
	if err := p.Matrix(sample); err != nil || !strings.Contains(b.String(), "! \x1b[31mreached\x1b[0m") {
		t.Errorf("%v: %s", err, b.String())
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
