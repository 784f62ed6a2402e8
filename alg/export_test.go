package alg

// CauseOf is causeOf, for tests.
func CauseOf(reason string) Cause { return causeOf(reason) }

// ReasonsWithACause returns the reasons, and parts of them, that causeOf knows.
func ReasonsWithACause() (all []string) {
	for reason := range plainly {
		all = append(all, reason)
	}
	for _, p := range partly {
		all = append(all, p.text)
	}
	return all
}
