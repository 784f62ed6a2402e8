package ftp

// AuthAt finds the last letter of AUTH at the start of a command line, which need
// not be whole yet. Whoever changes that one letter turns the command into one that
// no server knows, at equal length, and at the earliest moment that the command can
// be told from others.
func AuthAt(line []byte) (int, bool) {
	word := skipTelnet(line)
	if len(word) < 4 || word[0]|0x20 != 'a' || word[1]|0x20 != 'u' || word[2]|0x20 != 't' || word[3]|0x20 != 'h' {
		return 0, false
	}
	return len(line) - len(word) + 3, true
}
