package report

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// thin is the space between groups of three digits.
const thin = "\u202f"

// span writes a duration with two decimals, in milliseconds or, from one second on, in
// seconds.
func span(d time.Duration) string {
	if d >= time.Second {
		return strconv.FormatFloat(d.Seconds(), 'f', 2, 64) + " s"
	}
	return strconv.FormatFloat(d.Seconds()*1000, 'f', 2, 64) + " ms"
}

// quantity writes a number with three significant digits, or with all of them before
// the decimal point, and groups them.
func quantity(f float64) string {
	if f == 0 {
		return "0"
	}
	digits := 2 - int(math.Floor(math.Log10(math.Abs(f))))
	s := strconv.FormatFloat(f, 'f', max(digits, 0), 64)
	whole, fraction, _ := strings.Cut(s, ".")
	fraction = strings.TrimRight(fraction, "0")
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + thin + whole[i:]
	}
	if fraction == "" {
		return whole
	}
	return whole + "." + fraction
}

// wrap breaks a text into lines of at most n characters, between words where it can.
func wrap(text string, n int) []string {
	var lines []string
	var line []rune
	for _, word := range strings.Fields(text) {
		w := []rune(word)
		if len(line) > 0 && len(line)+1+len(w) > n {
			lines, line = append(lines, string(line)), nil
		}
		for len(w) > n {
			lines, w = append(lines, string(w[:n])), w[n:]
		}
		if len(line) > 0 {
			line = append(line, ' ')
		}
		line = append(line, w...)
	}
	return append(lines, string(line))
}
