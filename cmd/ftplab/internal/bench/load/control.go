package load

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// control is one end of a control connection.
type control struct {
	fd int
	in []byte // read, and not yet taken
	at int    // of in, the first that is not yet taken
}

// maxLine bounds what is kept of a line.
const maxLine = 4096

// read reads what has come. The error is io.EOF after the last.
func (c *control) read() error {
	c.in = append(c.in[:0], c.in[c.at:]...)
	c.at = 0
	if len(c.in) >= maxLine {
		return errors.New("reading a line: it does not end")
	}
	if cap(c.in)-len(c.in) < 512 {
		c.in = append(make([]byte, 0, len(c.in)+512), c.in...)
	}
	n, err := unix.Read(c.fd, c.in[len(c.in):cap(c.in)])
	switch {
	case again(err):
		return nil
	case err != nil:
		return fmt.Errorf("reading a control connection: %w", err)
	case n == 0:
		return io.EOF
	}
	c.in = c.in[:len(c.in)+n]
	return nil
}

// line takes the next whole line, without its end. It is good until the next read.
func (c *control) line() (line []byte, ok bool) {
	line, _, ok = bytes.Cut(c.in[c.at:], []byte("\r\n"))
	if ok {
		c.at += len(line) + 2
	}
	return line, ok
}

// say sends lines, with their ends. They are few, and the peer reads: that there is no
// room for all of them is an error.
func (c *control) say(text []byte) error {
	n, err := write(c.fd, text)
	if err == nil && n < len(text) {
		err = io.ErrShortWrite
	}
	if err != nil {
		return fmt.Errorf("saying %.20q: %w", text, err)
	}
	return nil
}

// comma writes an address as PORT and 227 do: "10,1,4,4,180,117".
func comma(b []byte, a netip.AddrPort) []byte {
	for _, octet := range a.Addr().As4() {
		b = append(strconv.AppendUint(b, uint64(octet), 10), ',')
	}
	b = append(strconv.AppendUint(b, uint64(a.Port()>>8), 10), ',')
	return strconv.AppendUint(b, uint64(a.Port()&0xff), 10)
}

// bars writes an address as EPRT does (RFC 2428): "|2|fd00::1|46197|".
func bars(b []byte, a netip.AddrPort) []byte {
	net := byte('2')
	if a.Addr().Is4() {
		net = '1'
	}
	b = append(b, '|', net, '|')
	b = append(a.Addr().AppendTo(b), '|')
	return append(strconv.AppendUint(b, uint64(a.Port()), 10), '|')
}

// readComma reads what comma writes.
func readComma(s string) (netip.AddrPort, bool) {
	var n [6]byte
	for i := range n {
		field, rest, more := strings.Cut(s, ",")
		v, err := strconv.ParseUint(field, 10, 8)
		if err != nil || more != (i < len(n)-1) {
			return netip.AddrPort{}, false
		}
		n[i], s = byte(v), rest
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte(n[:4])), uint16(n[4])<<8|uint16(n[5])), true
}

// readBars reads what bars writes, and what 229 has, which names the port alone.
func readBars(s string) (addr netip.Addr, port uint16, ok bool) {
	f := strings.Split(s, "|")
	if len(f) != 5 || f[0] != "" || f[4] != "" {
		return addr, 0, false
	}
	if f[2] != "" {
		var err error
		if addr, err = netip.ParseAddr(f[2]); err != nil {
			return addr, 0, false
		}
	}
	v, err := strconv.ParseUint(f[3], 10, 16)
	return addr, uint16(v), err == nil
}

// between returns what is between parentheses, as in 227 and 229.
func between(s string) string {
	_, s, _ = strings.Cut(s, "(")
	s, _, _ = strings.Cut(s, ")")
	return s
}
