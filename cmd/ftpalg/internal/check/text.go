package check

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// Write prints the report for people. The file that an empty name stands for is named by
// what is written of it.
func (r *Report) Write(w io.Writer, standard string) error {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if r.File == "" {
		fmt.Fprintf(out, "configuration: there is no %s: the defaults hold\n", standard)
	} else {
		fmt.Fprintf(out, "configuration: %s is valid\n", r.File)
	}
	if len(r.Kernel) > 0 {
		fmt.Fprintln(out, "\nKERNEL\tLINUX\tHERE\tMODULE\tWITHOUT IT IS LOST")
	}
	for _, f := range r.Kernel {
		here := "no"
		if f.Present {
			here = "yes"
		}
		fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%s\n", f.Name, f.Since, here, f.Module, f.Lost)
	}
	if len(r.Kernel) > 0 {
		fmt.Fprintln(out)
	}
	for _, f := range r.Findings {
		kind := "note"
		if f.Problem {
			kind = "problem"
		}
		fmt.Fprintf(out, "%s (%s): %s\n", kind, f.ID, f.Text)
		for _, line := range f.Mend {
			fmt.Fprintf(out, "    %s\n", line)
		}
	}
	switch n := r.Problems(); {
	case r.Blind != "":
		fmt.Fprintf(out, "not everything could be looked at: %s\n", r.Blind)
	case n == 0:
		fmt.Fprintln(out, "no problems found")
	case n == 1:
		fmt.Fprintln(out, "1 problem found")
	default:
		fmt.Fprintf(out, "%d problems found\n", n)
	}
	return out.Flush()
}
