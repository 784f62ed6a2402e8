package dialogue_test

import (
	"fmt"
	"net/netip"

	"github.com/ftpalg/ftpalg/alg/dialogue"
)

// A download in active mode, line by line: "C" is the client, "S" the server.
func Example() {
	terms := dialogue.Terms{
		Client: netip.MustParseAddr("10.1.4.4"),
		Server: netip.MustParseAddr("10.2.5.5"),
		Rules: &dialogue.Rules{
			Modes:        []dialogue.Mode{dialogue.Active, dialogue.Passive},
			SourcePort:   dialogue.Port(20),
			MinPort:      1024,
			RequireLogin: true,
		},
	}
	var d dialogue.Dialogue
	for _, said := range []string{
		"S 220 (vsFTPd 3.0.3)",
		"C USER anonymous",
		"S 331 Please specify the password.",
		"C PASS guest@example.org",
		"S 230 Login successful.",
		"C PORT 10,1,4,4,180,117",
		"S 200 PORT command successful.",
		"C RETR R1.cfg",
		"S 150 Opening BINARY mode data connection for R1.cfg (38 bytes).",
		"S 226 Transfer complete.",
	} {
		fmt.Println(said)
		line := dialogue.Line{Text: []byte(said[2:])}
		var decisions []dialogue.Decision
		if said[0] == 'C' {
			decisions = d.Command(&terms, line, nil)
		} else {
			decisions = d.Reply(&terms, line, nil)
		}
		for _, decision := range decisions {
			fmt.Println("   ", decision)
		}
	}
	// Output:
	// S 220 (vsFTPd 3.0.3)
	//     began
	// C USER anonymous
	// S 331 Please specify the password.
	// C PASS guest@example.org
	// S 230 Login successful.
	// C PORT 10,1,4,4,180,117
	//     announced active 10.1.4.4:46197 from 20
	// S 200 PORT command successful.
	// C RETR R1.cfg
	//     open active 10.1.4.4:46197 from 20
	// S 150 Opening BINARY mode data connection for R1.cfg (38 bytes).
	//     under way active 10.1.4.4:46197 from 20
	// S 226 Transfer complete.
	//     close active 10.1.4.4:46197 from 20: transfer complete
}

// A dialogue that is written down goes on elsewhere as if nothing had been.
func ExampleDialogue_UnmarshalBinary() {
	terms := dialogue.Terms{
		Client: netip.MustParseAddr("10.1.4.4"),
		Server: netip.MustParseAddr("10.2.5.5"),
		Rules:  &dialogue.Rules{Modes: []dialogue.Mode{dialogue.Passive}},
	}
	var here dialogue.Dialogue
	here.Reply(&terms, dialogue.Line{Text: []byte("220 hello")}, nil)
	here.Command(&terms, dialogue.Line{Text: []byte("EPSV")}, nil)
	written, err := here.AppendBinary(nil)
	if err != nil {
		fmt.Println(err)
		return
	}

	var there dialogue.Dialogue
	if err := there.UnmarshalBinary(written); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(there == here)
	for _, decision := range there.Reply(&terms, dialogue.Line{Text: []byte("229 ok (|||50000|)")}, nil) {
		fmt.Println(decision)
	}
	// Output:
	// true
	// announced passive 10.2.5.5:50000
	// open passive 10.2.5.5:50000
}

func ExampleParsePorts() {
	ports, err := dialogue.ParsePorts("50000-50100")
	fmt.Println(ports, ports.Contains(50007), ports.Contains(50101), err)

	_, err = dialogue.ParsePorts("50100-50000")
	fmt.Println(err)
	// Output:
	// 50000-50100 true false <nil>
	// "50100-50000" is neither a port nor a range of ports, such as "50000-50100"
}
