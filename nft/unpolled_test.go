package nft

import (
	"testing"

	"github.com/google/nftables"
)

// A socket takes over the address of the one that it replaces, which lives as long as the
// runtime's poller looks at it.
func TestUnpolledUnderWay(t *testing.T) {
	inNamespace(t)
	for range 500 {
		table := &Table{}
		conn, err := nftables.New(nftables.AsLasting(), nftables.WithSockOptions(table.socket))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.ListTables(); err != nil {
			t.Error(err)
		}
		if err := conn.CloseLasting(); err != nil {
			t.Error(err)
		}
	}
}
