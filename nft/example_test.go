package nft_test

import (
	"fmt"
	"strings"

	"github.com/ftpalg/ftpalg/alg"
	"github.com/ftpalg/ftpalg/nft"
)

// The line that the operator's own chains need, where they are not to be touched.
func ExampleTag_Line() {
	tag := nft.Tag{Label: 126, Mark: 0x01000000}
	fmt.Println(tag.Line())
	fmt.Print(nft.AnchorText("inet filter", []string{"forward"}, tag))
	// Output:
	// ct label 126 meta mark & 0x01000000 == 0x01000000 accept
	// insert rule inet filter forward ct label 126 meta mark & 0x01000000 == 0x01000000 accept comment "inserted by ftpalg"
}

// What a table does for a gateway, as nft prints it: here the chain that a packet enters
// before the operator's.
func ExampleText() {
	text := nft.Text(nft.Config{
		Ports: []uint16{21}, Hooks: []string{"forward"}, Queue: 21000, Workers: 2, Bypass: true,
		Tag:         nft.Tag{Label: 126, Mark: 0x01000000},
		SourcePorts: []alg.Ports{{First: 20, Last: 20}},
	}, nft.Caps{Owner: true, InnerHeader: true, Destroy: true, Log: true, Count: true})
	_, chain, _ := strings.Cut(text, "chain pinholes_forward {\n")
	chain, _, _ = strings.Cut(chain, "\t}")
	fmt.Print(strings.ReplaceAll(chain, "\t", ""))
	// Output:
	// type filter hook forward priority filter - 10; policy accept;
	// meta mark & 0x01000000 != 0x0 meta mark set meta mark & 0xfeffffff
	// ct state new tcp flags & (fin|syn|rst|ack) == syn goto pinholes
	// ct state established tcp flags & (fin|syn|rst|ack) == syn ct label 126 drop
}
