package main

import (
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
	"github.com/rogpeppe/go-internal/testscript"
)

// The reference dialogue, replayed as an operator would.
func TestReplay(t *testing.T) {
	captures, err := filepath.Abs("internal/replay/testdata")
	if err != nil {
		t.Fatal(err)
	}
	reference := filepath.Join(captures, "reference.pcapng")
	testscript.Run(t, testscript.Params{
		Dir: "testdata/replay",
		Setup: func(e *testscript.Env) error {
			e.Setenv("REFERENCE", captures)
			return errors.Join(
				// It begins when the client has logged in.
				rewrite(reference, filepath.Join(e.WorkDir, "late.pcapng"), func(i int, _ []byte) bool { return i >= 34 }),
				rewrite(reference, filepath.Join(e.WorkDir, "checksums.pcapng"), func(_ int, frame []byte) bool {
					const field = 14 + 20 + 16 // behind the headers of Ethernet and IPv4
					if len(frame) >= field+2 && frame[14+9] == byte(layers.IPProtocolTCP) {
						binary.BigEndian.PutUint16(frame[field:], binary.BigEndian.Uint16(frame[field:])+1)
					}
					return true
				}),
			)
		},
	})
}

// rewrite writes the packets of a capture that change wants, as it leaves them.
func rewrite(from, to string, change func(i int, frame []byte) bool) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	r, err := pcapgo.NewNgReader(in, pcapgo.DefaultNgReaderOptions)
	if err != nil {
		return err
	}
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	defer out.Close()
	w, err := pcapgo.NewNgWriter(out, r.LinkType())
	if err != nil {
		return err
	}
	for i := 0; ; i++ {
		frame, info, err := r.ReadPacketData()
		if errors.Is(err, io.EOF) {
			return w.Flush()
		}
		if err != nil {
			return err
		}
		if info.InterfaceIndex = 0; change(i, frame) {
			if err := w.WritePacket(info, frame); err != nil {
				return err
			}
		}
	}
}
