package check

import (
	"encoding/binary"
	"testing"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
)

// networks is a set of so many intervals, of 100 addresses each, with 100 between them. The
// second one's begin is the first one's end.
func networks(n int) *set {
	var elements []nftables.SetElement
	end := func(at uint32, is bool) {
		elements = append(elements, nftables.SetElement{Key: binary.BigEndian.AppendUint32(nil, at), IntervalEnd: is})
	}
	end(0, true)
	for i := range uint32(n) {
		end(1000+200*i, false)
		end(1100+200*i, true)
	}
	end(1100, false)
	return newSet(&nftables.Set{Interval: true}, elements)
}

// A blocklist has a hundred thousand networks: what looks up in it has to come to an end.
func TestALookupInAHundredThousandNetworks(t *testing.T) {
	t.Parallel()
	s := networks(100_000)
	table := &nftables.Table{Family: nftables.TableFamilyINet, Name: "filter"}
	for at, want := range map[uint32]answer{
		0: no, 999: no, 1000: yes, 1099: yes, 1100: yes, 1199: yes, 1299: yes, 1300: no, 1399: no, 1400: yes,
		1000 + 200*99_999: yes, 1100 + 200*99_999: no, 1 << 31: no,
	} {
		m := matching{
			sets: map[string]*set{key(table, "s"): s}, chain: &chain{Chain: &nftables.Chain{Table: table}},
			registers: unknown(64), holds: yes,
		}
		m.load(1, exactly(binary.BigEndian.AppendUint32(nil, at)))
		m.lookup(&expr.Lookup{SourceRegister: 1, SetName: "s"})
		if m.holds != want {
			t.Errorf("%d: %v, want %v", at, m.holds, want)
		}
	}
}
