package event

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// Text writes events for people, one a line, in columns. It is not safe for
// concurrent use.
type Text struct {
	w      io.Writer
	widths [3]int // of event, session and ends: the widest so far
}

// NewText returns a Text that writes to w, one Write a line.
func NewText(w io.Writer) *Text {
	return &Text{w: w, widths: [3]int{len("pinhole.announced")}}
}

// Write writes one event. Its time is in UTC, to the microsecond.
func (t *Text) Write(j JSON) error {
	var b strings.Builder
	b.WriteString(j.Time.UTC().Format("2006-01-02T15:04:05.000000Z"))
	for i, cell := range []string{string(j.Event), j.session(), j.ends()} {
		t.widths[i] = max(t.widths[i], len(cell))
		fmt.Fprintf(&b, "  %-*s", t.widths[i], cell)
	}
	for _, detail := range []string{j.pinhole(), j.outcome(), j.Reason, j.Error} {
		if detail != "" {
			b.WriteString("  " + detail)
		}
	}
	_, err := fmt.Fprintln(t.w, strings.TrimRight(b.String(), " "))
	return err
}

func (j *JSON) session() string {
	if j.Session == 0 {
		return ""
	}
	return strconv.FormatUint(j.Session, 10)
}

func (j *JSON) ends() string {
	if !j.Client.IsValid() {
		return ""
	}
	return j.Client.String() + " -> " + j.Server.String()
}

// pinhole says who may connect to whom.
func (j *JSON) pinhole() string {
	if !j.Address.IsValid() {
		return ""
	}
	source := j.Source.String()
	if j.SourcePort != nil && *j.SourcePort != (Ports{}) {
		source = net.JoinHostPort(source, j.SourcePort.String())
	}
	to := netip.AddrPortFrom(j.Address, j.Port).String()
	if j.OutsideAddress.IsValid() {
		to = fmt.Sprintf("%s (by way of %s)", to, netip.AddrPortFrom(j.OutsideAddress, j.OutsidePort))
	}
	if j.OutsideSource.IsValid() {
		source = fmt.Sprintf("%s (as %s)", source, j.OutsideSource)
	}
	return fmt.Sprintf("%s %s -> %s", j.Mode, source, to)
}

// outcome says what became of a pinhole that closed.
func (j *JSON) outcome() string {
	switch {
	case j.Used == nil:
		return ""
	case *j.Used:
		return "used after " + j.Lifetime
	case j.Lifetime != "":
		return "not used in " + j.Lifetime
	}
	return "never open"
}
