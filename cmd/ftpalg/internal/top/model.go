package top

import (
	"context"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/ftpalg/ftpalg/cmd/ftpalg/internal/api"
)

const (
	every     = time.Second     // how often the daemon is asked, if it answers quickly
	patience  = 5 * time.Second // how long an answer may take
	maxListed = 2000            // sessions: for more, the lists are not asked for, which copies all of them
)

// model is what is shown. It belongs to the program's loop; only heard is shared, with the
// command that follows events.
type model struct {
	ctx       context.Context
	daemon    daemon
	heard     *heard
	began     time.Time // since when events are heard
	following bool

	width, height int
	now           time.Time
	answer        answer // the last
	samples       []sample
}

func newModel(ctx context.Context, d daemon, now time.Time) model {
	return model{ctx: ctx, daemon: d, heard: newHeard(), began: now, now: now, width: 80, height: 24}
}

// answer is what the daemon said.
type answer struct {
	at       time.Time // zero: it was not asked yet
	err      error
	status   api.Status
	listed   bool
	sessions []api.Session
	pinholes []api.Pinhole
}

// deaf says that no events come any more.
type deaf struct{}

// due says that it is time to ask.
type due struct{}

// Init implements tea.Model.
func (m model) Init() tea.Cmd { return m.ask }

// Update implements tea.Model.
func (m model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case tea.KeyPressMsg:
		switch msg.String() {
		case "q", "ctrl+c":
			return m, tea.Quit
		}
	case due:
		return m, m.ask
	case deaf:
		m.following = false
	case answer:
		m.take(msg)
		next := []tea.Cmd{tea.Tick(every, func(time.Time) tea.Msg { return due{} })}
		if msg.err == nil && !m.following {
			m.following = true
			next = append(next, m.follow)
		}
		return m, tea.Batch(next...)
	}
	return m, nil
}

// take remembers an answer, for the rates too. A new daemon counts from nothing.
func (m *model) take(a answer) {
	if a.err != nil || !a.status.StartedAt.Equal(m.answer.status.StartedAt) {
		m.samples = nil
	}
	m.answer, m.now = a, a.at
	if a.err != nil {
		return
	}
	s := sample{at: a.at, transfers: a.status.Transfers, bytes: m.heard.told().bytes}
	for _, q := range a.status.Queues {
		s.packets += q.Worker.Packets
	}
	m.samples = append(m.samples, s)
	for len(m.samples) > 2 && a.at.Sub(m.samples[1].at) >= over {
		m.samples = m.samples[1:]
	}
}

// ask is a command that asks the daemon.
func (m model) ask() tea.Msg {
	ctx, cancel := context.WithTimeout(m.ctx, patience)
	defer cancel()
	var a answer
	a.status, a.err = m.daemon.Status(ctx)
	if a.err == nil && a.status.Sessions <= maxListed {
		a.listed = true
		a.sessions, a.pinholes, a.err = m.daemon.Snapshot(ctx)
	}
	a.at = time.Now()
	return a
}

// follow is a command that hears events until there is no daemon to tell of any.
func (m model) follow() tea.Msg {
	_ = m.daemon.Events(m.ctx, m.heard.hear) // the next question says why
	return deaf{}
}
