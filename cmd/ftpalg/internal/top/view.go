package top

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/ftpalg/ftpalg/cmd/ftpalg/internal/api"
)

// View implements tea.Model. It fills the screen and no more, whatever its size.
func (m model) View() tea.View {
	v := tea.NewView(strings.Join(m.lines(), "\n"))
	v.AltScreen = true
	v.WindowTitle = "ftpalg top"
	return v
}

// lines returns as many lines as there is room for, none wider than the screen.
func (m model) lines() []string {
	const foot = 1
	lines := m.head()
	room := max(m.height-len(lines)-foot, 0)
	t := m.heard.told()
	below := m.unhelped(t)
	// What was not helped has half of the screen, or what the sessions leave.
	sessions := m.sessions()
	forSessions := min(len(sessions), max(room-len(below), room-room/2))
	lines = append(lines, shorten(sessions, forSessions)...)
	lines = append(lines, shorten(below, room-forSessions)...)
	lines = lines[:min(len(lines), max(m.height-foot, 0))]
	for len(lines) < m.height-foot {
		lines = append(lines, "")
	}
	lines = append(lines, "q quit")
	for i, line := range lines {
		lines[i] = m.fit(line)
	}
	return lines
}

// titled marks the lines that are emphasised.
const titled = "\x00"

// fit makes a line fit the screen. A reason may quote what others have said, and what is not
// plain there would be a terminal's to act on.
func (m model) fit(line string) string {
	line, title := strings.CutPrefix(line, titled)
	line = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, line)
	if len(line) > m.width {
		line = line[:max(m.width-1, 0)] + ">"[:min(m.width, 1)]
	}
	if title {
		return "\x1b[1m" + line + "\x1b[m"
	}
	return line
}

// shorten leaves out what there is no room for, and says so.
func shorten(lines []string, room int) []string {
	if len(lines) <= room {
		return lines
	}
	if room < 1 {
		return nil
	}
	return append(slices.Clone(lines[:room-1]), "  ... and more")
}

func (m model) head() []string {
	clock := m.now.Format("15:04:05")
	switch a := m.answer; {
	case a.at.IsZero():
		return []string{titled + "ftpalg   asking", "", "", ""}
	case a.err != nil:
		return []string{titled + "ftpalg   " + clock, a.err.Error(), "asked again every second", ""}
	}
	s, t, r := m.answer.status, m.heard.told(), between(m.samples)
	var waiting, dropped uint64
	for _, q := range s.Queues {
		waiting += uint64(q.Waiting)
		dropped += q.Dropped
	}
	bytes := amount(r.bytes) + "/s in those that are over"
	if t.over > 0 && t.counted == 0 {
		bytes = "bytes unknown: nf_conntrack_acct is off"
	}
	return []string{
		titled + fmt.Sprintf("ftpalg %s   running for %s   %s", s.Version, m.now.Sub(s.StartedAt).Round(time.Second), clock),
		fmt.Sprintf("sessions %d   open pinholes %d   queues %d: %d waiting, %d overrun", s.Sessions, s.Pinholes, len(s.Queues), waiting, dropped),
		fmt.Sprintf("transfers %d   announcements refused %d   connections missed %d", s.Transfers, s.Refused, s.Missed),
		fmt.Sprintf("now %.1f transfers/s   %.0f control packets/s   %s", r.transfers, r.packets, bytes),
		"",
	}
}

// amount writes bytes for people.
func amount(bytes float64) string {
	for _, unit := range []string{"B", "kB", "MB", "GB"} {
		if bytes < 1000 {
			return fmt.Sprintf("%.3g %s", bytes, unit)
		}
		bytes /= 1000
	}
	return fmt.Sprintf("%.4g TB", bytes)
}

// sessions lists them, those with a transfer first, and then the newest.
func (m model) sessions() []string {
	switch a := m.answer; {
	case a.at.IsZero() || a.err != nil:
		return nil
	case !a.listed:
		return []string{fmt.Sprintf("More than %d sessions are not listed here: see ftpalg sessions, and ftpalg pinholes.", maxListed), ""}
	case len(a.sessions) == 0:
		return []string{"No control connection is followed at the moment.", ""}
	}
	holes := make(map[uint64]*api.Pinhole, len(m.answer.pinholes))
	for i := range m.answer.pinholes {
		p := &m.answer.pinholes[i]
		holes[p.Session] = p
	}
	all := slices.Clone(m.answer.sessions)
	rank := func(s api.Session) int {
		if p := holes[s.Session]; p != nil {
			return slices.Index([]string{"closed", "announced", "accepted", "open", "used"}, p.State)
		}
		return -1
	}
	slices.SortFunc(all, func(a, b api.Session) int {
		return cmp.Or(cmp.Compare(rank(b), rank(a)), cmp.Compare(b.Session, a.Session))
	})
	rows := [][]string{{"SESSION", "STATE", "LOGIN", "DATA CONNECTION", "SINCE", "CLIENT", "SERVER"}}
	for _, s := range all {
		login, data, since := "no", "", ""
		if s.Login {
			login = "yes"
		}
		if p := holes[s.Session]; p != nil {
			data = p.Mode + " " + p.State
			if (p.State == "open" || p.State == "used") && !p.OpenedAt.IsZero() {
				since = max(m.now.Sub(p.OpenedAt), 0).Round(time.Second).String()
			}
		}
		rows = append(rows, []string{fmt.Sprint(s.Session), s.State, login, data, since, s.Client.String(), s.Server.String()})
	}
	return append(columns(rows), "")
}

// unhelped lists what was not helped, and what would have helped it.
func (m model) unhelped(t told) []string {
	if len(t.unhelped) == 0 {
		if m.answer.at.IsZero() || m.answer.err != nil {
			return nil
		}
		return []string{"Nothing was refused or missed since " + m.began.Format("15:04:05") + "."}
	}
	rows := [][]string{{"TIMES", "LAST", "EVENT", "SEE", "CLIENT", "SERVER"}}
	for _, u := range t.unhelped {
		row := []string{fmt.Sprint(u.times), u.last.Time.Local().Format("15:04:05"), string(u.event), cmp.Or(u.setting(), "-"), "", ""}
		if u.last.Client.IsValid() {
			row[4], row[5] = u.last.Client.Addr().String(), u.last.Server.Addr().String()
		}
		rows = append(rows, row)
	}
	titled := columns(rows)
	lines := titled[:1:1]
	for i, u := range t.unhelped {
		lines = append(lines, titled[i+1])
		reason := u.last.Reason
		if u.last.Error != "" {
			reason += ": " + u.last.Error
		}
		lines = append(lines, m.wrap(reason)...)
	}
	return lines
}

// wrap breaks a reason between its words, below the event it belongs to.
func (m model) wrap(reason string) (lines []string) {
	const indent, most = "       ", 3
	line := ""
	for _, word := range strings.Fields(reason) {
		if line != "" && len(indent)+len(line)+1+len(word) > m.width && len(lines) < most-1 {
			lines, line = append(lines, indent+line), ""
		}
		line = strings.TrimPrefix(line+" "+word, " ")
	}
	return append(lines, indent+line)
}

// columns aligns rows, of which the first is the title.
func columns(rows [][]string) []string {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], len(cell))
		}
	}
	lines := make([]string, len(rows))
	for n, row := range rows {
		var b strings.Builder
		for i, cell := range row {
			fmt.Fprintf(&b, "%-*s  ", widths[i], cell)
		}
		lines[n] = strings.TrimRight(b.String(), " ")
	}
	lines[0] = titled + lines[0]
	return lines
}
