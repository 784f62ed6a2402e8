package alg

// ReasonsWithACause returns the reasons, and parts of them, that CauseOf knows.
func ReasonsWithACause() (all []string) {
	for reason := range plainly {
		all = append(all, reason)
	}
	for _, p := range partly {
		all = append(all, p.text)
	}
	return all
}
