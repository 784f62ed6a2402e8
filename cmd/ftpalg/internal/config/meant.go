package config

import (
	"slices"
	"strings"
)

// heading returns a section's heading as the file writes it.
func heading(section string) string {
	if section == "server" {
		return "[[server]]"
	}
	return "[" + section + "]"
}

// meantKey says which key was probably meant by one that is not known: of its own
// section, or of another. names are all keys with their sections.
func meantKey(path, names []string) string {
	if len(path) > 2 {
		return leaf(path, names)
	}
	if len(path) == 1 && slices.Contains(names, path[0]) { // one name, in quotes
		section, key, _ := strings.Cut(path[0], ".")
		return meant([]string{key + " in " + heading(section)})
	}
	var own, other []string
	in := map[string][]string{} // headings of the sections that have a key
	for _, name := range names {
		section, key, _ := strings.Cut(name, ".")
		in[key] = append(in[key], heading(section))
		if len(path) == 2 && section == path[0] {
			own = append(own, key)
		} else {
			other = append(other, key)
		}
	}
	key := path[len(path)-1]
	if near := nearest(key, own); len(near) > 0 {
		return meant(near)
	}
	near := nearest(key, other)
	for i, n := range near {
		near[i] = n + " in " + strings.Join(in[n], " or ")
	}
	return meant(near)
}

// leaf says of what goes deeper than keys do which key it is below, if any.
func leaf(path, names []string) string {
	if len(path) < 2 || !slices.Contains(names, path[0]+"."+path[1]) {
		return ""
	}
	return ": " + path[1] + " is a key in " + heading(path[0]) + ", not a section"
}

// meantSection says which section was probably meant by one that is not known.
func meantSection(path, names []string) string {
	if known := leaf(path, names); known != "" {
		return known
	}
	var sections []string
	for _, n := range names {
		section, _, _ := strings.Cut(n, ".")
		sections = append(sections, section)
	}
	near := nearest(path[0], sections)
	if len(path) > 1 {
		near = slices.DeleteFunc(near, func(n string) bool { return n == path[0] }) // it is the rest that is not known
	}
	for i, n := range near {
		near[i] = heading(n)
	}
	return meant(near)
}

// meant asks for the words, or is empty where there are none.
func meant(words []string) string {
	if len(words) == 0 {
		return ""
	}
	return ": did you mean " + strings.Join(words, " or ") + "?"
}

// nearest returns those of the words that differ least from the given one, in order,
// each once: in no more than a third of the letters, of which upper case and hyphens
// are none.
func nearest(given string, words []string) []string {
	const tooLong = 64 // not a word: distance takes the product of the lengths
	if len(given) > tooLong {
		return nil
	}
	plain := func(s string) string { return strings.ReplaceAll(strings.ToLower(s), "-", "_") }
	best := len(given)
	var near []string
	for _, w := range words {
		d := distance(plain(given), plain(w))
		if d > max(len(given), len(w))/3 || d > best {
			continue
		}
		if d < best {
			best, near = d, nil
		}
		near = append(near, w)
	}
	slices.Sort(near)
	return slices.Compact(near)
}

// distance is the number of bytes to insert, delete or change that make b of a, where
// two neighbours that changed places count as one.
func distance(a, b string) int {
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
