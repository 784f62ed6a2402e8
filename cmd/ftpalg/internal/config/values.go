package config

import (
	"fmt"
	"maps"
	"math/bits"
	"net"
	"net/netip"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ftpalg/ftpalg/alg"
)

// The functions here read a value as go-toml decodes it: int64, string, bool and
// so on. A value of another type is refused in the same words as a bad one.

// number reads a whole number from lo to hi, both fit T.
func number[T ~int | ~uint8 | ~uint16](what string, lo, hi int64) func(any) (T, error) {
	return func(value any) (T, error) {
		n, ok := value.(int64)
		if !ok || n < lo || n > hi {
			return 0, fmt.Errorf("%s is not %s (%d-%d)", show(value), what, lo, hi)
		}
		return T(n), nil
	}
}

func port(value any) (uint16, error) { return number[uint16]("a port", 1, 65535)(value) }

func boolean(value any) (bool, error) {
	b, ok := value.(bool)
	if !ok {
		return false, fmt.Errorf("%s is neither true nor false", show(value))
	}
	return b, nil
}

// choice reads one of the names.
func choice[T any](meaning map[string]T) func(any) (T, error) {
	return func(value any) (T, error) {
		name, _ := value.(string)
		v, ok := meaning[name]
		if !ok {
			names := slices.Sorted(maps.Keys(meaning))
			near := nearest(name, names)
			for i := range near {
				near[i] = strconv.Quote(near[i])
			}
			return v, fmt.Errorf("%s is none of %s%s", show(value), strings.Join(names, ", "), meant(near))
		}
		return v, nil
	}
}

// word reads one of the words, for itself.
func word(words ...string) func(any) (string, error) {
	meaning := make(map[string]string, len(words))
	for _, w := range words {
		meaning[w] = w
	}
	return choice(meaning)
}

func mode(value any) (alg.Mode, error) {
	return choice(map[string]alg.Mode{"active": alg.Active, "passive": alg.Passive})(value)
}

func openOn(value any) (bool, error) {
	return choice(map[string]bool{"transfer": false, "port": true})(value)
}

// duration reads a time between two. A millisecond is the kernel's unit for the
// time-outs of set elements: less would be none.
func duration(lo, hi time.Duration, example string) func(any) (time.Duration, error) {
	return func(value any) (time.Duration, error) {
		text, _ := value.(string)
		d, err := time.ParseDuration(text)
		if err != nil || d < lo || d > hi {
			return 0, fmt.Errorf("%s is not a time from %s to %s, such as %q", show(value), short(lo), short(hi), example)
		}
		return d, nil
	}
}

// short writes a time as people do: 5m, not 5m0s.
func short(d time.Duration) string {
	return strings.TrimSuffix(strings.TrimSuffix(d.String(), "0s"), "0m")
}

// ports reads a port, or a range of them as text.
func ports(value any) (alg.Ports, error) {
	if p, err := port(value); err == nil {
		return alg.Ports{First: p, Last: p}, nil
	}
	text, _ := value.(string)
	first, last, ranged := strings.Cut(text, "-")
	if !ranged {
		last = first
	}
	lo, err := strconv.ParseUint(first, 10, 16)
	hi, err2 := strconv.ParseUint(last, 10, 16)
	if err != nil || err2 != nil || lo == 0 || hi < lo {
		return alg.Ports{}, fmt.Errorf("%s is neither a port (1-65535) nor a range of ports, such as \"50000-50100\"", show(value))
	}
	return alg.Ports{First: uint16(lo), Last: uint16(hi)}, nil
}

func sourcePort(value any) (alg.Ports, error) {
	if value == int64(0) {
		return alg.Ports{}, nil
	}
	r, err := ports(value)
	if err != nil {
		return r, fmt.Errorf("%s is neither a port (1-65535), nor a range of ports, such as \"1-1023\", nor 0 for any", show(value))
	}
	return r, nil
}

// A verb of FTP has three or four letters, and the longest in use are not much longer.
var plainVerb = regexp.MustCompile(`^[A-Z0-9]{3,12}$`)

// verb reads a command that is FTP here. By the methods of HTTP, an HTTP request is
// told from a dialogue: with one of them a browser could be made to speak for its user.
func verb(value any) (string, error) {
	text, _ := value.(string)
	v := strings.ToUpper(text)
	switch {
	case !plainVerb.MatchString(v):
		return "", fmt.Errorf("%s is not a command of 3 to 12 letters and digits", show(value))
	case slices.Contains([]string{"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"}, v):
		return "", fmt.Errorf("%s is a method of HTTP: no web request must pass for FTP", show(value))
	}
	return v, nil
}

func prefix(value any) (netip.Prefix, error) {
	text, _ := value.(string)
	p, err := netip.ParsePrefix(text)
	switch {
	case err != nil || p.Addr().Is4In6():
		return p, fmt.Errorf("%s is not an address prefix, such as \"10.0.0.0/8\" or \"2001:db8::/32\"", show(value))
	case p != p.Masked():
		return p, fmt.Errorf("%s has bits beyond its length: \"%s\" or \"%s/%d\"", show(value), p.Masked(), p.Addr(), p.Addr().BitLen())
	}
	return p, nil
}

// addresses reads a prefix, or the address that is all of one.
func addresses(value any) (netip.Prefix, error) {
	text, _ := value.(string)
	if a, err := netip.ParseAddr(text); err == nil && !a.Is4In6() && a.Zone() == "" {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	if strings.Contains(text, "/") {
		return prefix(value)
	}
	return netip.Prefix{}, fmt.Errorf("%s is neither an address nor a prefix, such as \"10.2.5.5\" or \"2001:db8::/32\"", show(value))
}

// plain is a name that nft takes without quotes.
var plain = regexp.MustCompile(`^[a-zA-Z_.][a-zA-Z0-9/_.-]*$`)

// maxName is NFT_NAME_MAXLEN without the final zero.
const maxName = 255

func identifier(value any) (string, error) {
	name, _ := value.(string)
	if len(name) > maxName || !plain.MatchString(name) {
		return "", fmt.Errorf("%s is not the name of a chain", show(value))
	}
	return name, nil
}

func table(value any) (string, error) {
	text, _ := value.(string)
	family, name, _ := strings.Cut(text, " ")
	known := slices.Contains([]string{"inet", "ip", "ip6"}, family)
	if !known || len(name) > maxName || !plain.MatchString(name) {
		return "", fmt.Errorf("%s is not the family (inet, ip, ip6) and name of a table, such as \"inet filter\"", show(value))
	}
	return text, nil
}

// mark reads one bit of the packet mark. Earlier versions had a conntrack mark and its
// mask here.
func mark(value any) (uint32, error) {
	const example = `"0x01000000"`
	text, _ := value.(string)
	if before, mask, old := strings.Cut(text, "/"); old {
		meant := example
		if _, ok := bit(before); ok && before == mask {
			meant = strconv.Quote(before)
		}
		return 0, fmt.Errorf("%s is a conntrack mark, which data flows no longer bear: this is now one bit of the packet mark, so write mark = %s", show(value), meant)
	}
	m, ok := bit(text)
	if !ok {
		return 0, fmt.Errorf("%s is not one bit of the packet mark, such as %s", show(value), example)
	}
	return m, nil
}

// bit reads a number of 32 bits with exactly one of them set.
func bit(text string) (uint32, bool) {
	n, err := strconv.ParseUint(text, 0, 32)
	return uint32(n), err == nil && bits.OnesCount64(n) == 1
}

// listenAddress reads an address and a port, or nothing.
func listenAddress(example string) func(any) (string, error) {
	return func(value any) (string, error) {
		text, ok := value.(string)
		if ok && text == "" {
			return "", nil
		}
		host, service, err := net.SplitHostPort(text)
		_, notNumber := strconv.ParseUint(service, 10, 16)
		_, notAddress := netip.ParseAddr(host)
		if err != nil || notNumber != nil || notAddress != nil && host != "" && host != "localhost" {
			return "", fmt.Errorf("%s is not an address and a port, such as %q", show(value), example)
		}
		return text, nil
	}
}

// peer reads the address and port of another gateway.
func peer(value any) (string, error) {
	text, _ := value.(string)
	if a, err := netip.ParseAddrPort(text); err != nil || a.Port() == 0 {
		return "", fmt.Errorf("%s is not an address and a port, such as \"10.9.0.2:4248\"", show(value))
	}
	return text, nil
}

// name is a host's name, in full or not (RFC 1123, section 2.1).
var name = regexp.MustCompile(`^[a-zA-Z0-9]([a-zA-Z0-9.-]{0,251}[a-zA-Z0-9])?$`)

// hostName reads a name, or nothing.
func hostName(value any) (string, error) {
	text, ok := value.(string)
	if !ok || text != "" && !name.MatchString(text) {
		return "", fmt.Errorf("%s is not a name such as \"gw1\"", show(value))
	}
	return text, nil
}

// file reads the path of a file, or nothing.
func file(value any) (string, error) {
	text, ok := value.(string)
	if !ok || text != "" && !path.IsAbs(text) {
		return "", fmt.Errorf("%s is not the absolute path of a file", show(value))
	}
	return text, nil
}

// socketPath reads a path that fits sockaddr_un with its final zero, or nothing.
func socketPath(value any) (string, error) {
	text, ok := value.(string)
	if !ok || text != "" && (!path.IsAbs(text) || len(text) > 107) {
		return "", fmt.Errorf("%s is not the absolute path of a socket (at most 107 bytes)", show(value))
	}
	return text, nil
}

// show writes a value as the file has it, nearly.
func show(value any) string {
	switch v := value.(type) {
	case string:
		return strconv.Quote(v)
	case map[string]any:
		return "a table"
	case []any:
		shown := make([]string, len(v))
		for i := range v {
			shown[i] = show(v[i])
		}
		return "[" + strings.Join(shown, ", ") + "]"
	default:
		return fmt.Sprint(v)
	}
}
