package attack

import (
	"maps"
	"testing"
)

func TestReadScan(t *testing.T) {
	const head = `<?xml version="1.0"?><!DOCTYPE nmaprun><nmaprun scanner="nmap"><host><status state="up"/><ports>`
	const tail = `</ports></host></nmaprun>`
	const port = `<port protocol="tcp" portid="22"><state state="open" reason="syn-ack"/><service name="ssh"/></port>`
	got, err := readScan([]byte(head + `<extraports state="closed" count="64000"/><extraports state="filtered" count="1534"/>` + port + tail))
	if want := map[string]int{"open": 1, "closed": 64000, "filtered": 1534}; err != nil || !maps.Equal(got, want) {
		t.Errorf("%v, %v, want %v", got, err, want)
	}
	for _, bad := range []string{"", head, head + tail, head + port + tail} {
		if got, err := readScan([]byte(bad)); err == nil {
			t.Errorf("%q is read as %v", bad, got)
		}
	}
}
