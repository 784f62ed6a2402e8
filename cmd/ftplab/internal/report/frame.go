package report

import (
	"fmt"
	"strings"

	"github.com/ftpalg/ftpalg/cmd/ftplab/internal/story"
)

// frame is a frame, laid out layer by layer.
type frame struct {
	Number, Length int
	Layers         []layer
	Port           *port // nil: there is no PORT command in it
}

// layer is what one protocol put into the frame.
type layer struct {
	Name           string
	Offset, Length int
	Fields         []field
}

// field is a run of bytes that mean one thing.
type field struct {
	story.Field
	ID    string
	Bytes []octet
}

// octet is one byte.
type octet struct {
	Hex  string
	Char string // what it is in the text of an FTP command
}

// Last is the offset of the last byte.
func (f field) Last() int { return f.Offset + f.Length - 1 }

// Last is the offset of the last byte.
func (l layer) Last() int { return l.Offset + l.Length - 1 }

// port is the arithmetic of a PORT command.
type port struct {
	Host      [4]int
	High, Low int
}

// Shifted is what the high byte contributes.
func (p *port) Shifted() int { return p.High * 256 }

// Number is the port.
func (p *port) Number() int { return p.Shifted() + p.Low }

// newFrame lays a frame out. Its fields must follow each other and fill it.
func newFrame(f story.Frame) (*frame, error) {
	v := &frame{Number: f.Number, Length: len(f.Bytes)}
	at, text := 0, ""
	for i, one := range f.Fields {
		if one.Offset != at || one.Length < 1 || one.Length > len(f.Bytes)-at {
			return nil, fmt.Errorf("field %q of frame %d is not at byte %d of %d", one.Name, f.Number, at, len(f.Bytes))
		}
		w := field{Field: one, ID: fmt.Sprintf("field-%d", i+1)}
		b := f.Bytes[at : at+one.Length]
		w.Bytes = octets(b, one.Layer == "FTP")
		if one.Layer == "FTP" {
			text += string(b)
		}
		if n := len(v.Layers); n == 0 || v.Layers[n-1].Name != one.Layer {
			v.Layers = append(v.Layers, layer{Name: one.Layer, Offset: at})
		}
		last := &v.Layers[len(v.Layers)-1]
		last.Fields = append(last.Fields, w)
		last.Length += one.Length
		at += one.Length
	}
	if at != len(f.Bytes) {
		return nil, fmt.Errorf("the fields of frame %d end at byte %d of %d", f.Number, at, len(f.Bytes))
	}
	v.Port = parsePort(text)
	return v, nil
}

// octets returns bytes, with what they are in a text where they are of one.
func octets(b []byte, text bool) []octet {
	var all []octet
	for _, c := range b {
		o := octet{Hex: fmt.Sprintf("%02x", c)}
		if text {
			o.Char = char(c)
		}
		all = append(all, o)
	}
	return all
}

// char shows a byte of a command: itself, or a sign for what is not to be seen.
func char(b byte) string {
	switch {
	case b == ' ':
		return "␣"
	case b == '\r':
		return `\r`
	case b == '\n':
		return `\n`
	case b > ' ' && b < 0x7f:
		return string(rune(b))
	}
	return "·"
}

func parsePort(line string) *port {
	p := &port{}
	_, err := fmt.Sscanf(strings.TrimSpace(line), "PORT %d,%d,%d,%d,%d,%d", &p.Host[0], &p.Host[1], &p.Host[2], &p.Host[3], &p.High, &p.Low)
	if err != nil {
		return nil
	}
	return p
}
