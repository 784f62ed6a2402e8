package config

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ftpalg/ftpalg/alg"
	"github.com/ftpalg/ftpalg/nft"
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
			return v, fmt.Errorf("%s is none of %s", show(value), strings.Join(names, ", "))
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

// duration reads a time of at least a millisecond, which is the kernel's unit for
// the time-outs of set elements: less would be none.
func duration(value any) (time.Duration, error) {
	text, _ := value.(string)
	d, err := time.ParseDuration(text)
	if err != nil || d < time.Millisecond {
		return 0, fmt.Errorf("%s is not a time of at least 1ms, such as \"30s\"", show(value))
	}
	return d, nil
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

func mark(value any) (nft.Tag, error) {
	text, _ := value.(string)
	bits, mask, _ := strings.Cut(text, "/")
	b, err := strconv.ParseUint(bits, 0, 32)
	m, err2 := strconv.ParseUint(mask, 0, 32)
	switch {
	case errors.Join(err, err2) != nil:
		return nft.Tag{}, fmt.Errorf("%s is not a mark and its mask, such as \"0x200/0x200\"", show(value))
	case b&^m != 0:
		return nft.Tag{}, fmt.Errorf("%s has bits outside its mask", show(value))
	case b == 0:
		// Flows that nobody marked would bear it.
		return nft.Tag{}, fmt.Errorf("%s is a mark that every flow bears", show(value))
	}
	return nft.Tag{Mark: uint32(b), Mask: uint32(m)}, nil
}

func listenAddress(value any) (string, error) {
	text, ok := value.(string)
	if ok && text == "" {
		return "", nil
	}
	host, service, err := net.SplitHostPort(text)
	_, notNumber := strconv.ParseUint(service, 10, 16)
	_, notAddress := netip.ParseAddr(host)
	if err != nil || notNumber != nil || notAddress != nil && host != "" && host != "localhost" {
		return "", fmt.Errorf("%s is not an address and a port, such as \"127.0.0.1:9921\"", show(value))
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

func sourcePort(value any) (alg.Ports, error) {
	n, err := number[uint16]("a port, or 0 for any", 0, 65535)(value)
	return alg.Ports{First: n, Last: n}, err
}
