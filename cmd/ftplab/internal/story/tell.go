package story

import (
	"context"
	"fmt"
	"regexp"
	"time"

	"github.com/ftpalg/ftpalg/deploy/lab"
)

// tell makes the story of what was captured and of what ftpalg told.
func (r *run) tell(ctx context.Context) (*Story, error) {
	var captured [places][]lab.Packet
	for at, c := range r.captures {
		captured[at] = c.Packets()
	}
	all, events := gather(captured), r.daemon.Events()
	told := sessions(all, events)
	if len(told) != len(lab.Reference) {
		return nil, fmt.Errorf("%d control connections were captured, not %d", len(told), len(lab.Reference))
	}
	programs, err := r.programs(ctx)
	if err != nil {
		return nil, err
	}
	t := &teller{packets: all, first: told[0], second: told[1]}
	t.Story = Story{MadeAt: all[0].first().UTC(), Programs: programs, Hosts: r.hosts()}
	if err := t.tellTransfers(events); err != nil {
		return nil, err
	}
	if err := t.tellSteps(); err != nil {
		return nil, err
	}
	var crossed [sides][]lab.Packet
	for at, c := range r.crossing {
		crossed[at] = c.Packets()
	}
	return &t.Story, t.add(func() (Step, error) { return t.masquerade(crossed, events) })
}

func (r *run) hosts() []Host {
	var hosts []Host
	for _, h := range []struct {
		*lab.Host
		about string
	}{
		{r.Client, "runs lftp"},
		{r.Router, "forwards everything"},
		{r.Gateway, "is the firewall, with nftables and ftpalg"},
		{r.Server, "runs vsftpd"},
		{r.Outsider, "is a stranger on the server's network"},
	} {
		hosts = append(hosts, Host{Name: h.Name, IPv4: h.IPv4, IPv6: h.IPv6, About: h.about})
	}
	return hosts
}

// programs asks each program that took part for its version.
func (r *run) programs(ctx context.Context) ([]Program, error) {
	var programs []Program
	for _, p := range []struct {
		host       *lab.Host
		name, role string
		command    string
		version    string // where it stands in what the command prints
	}{
		{r.Client, "lftp", "the FTP client", "lftp --version", `Version (\S+)`},
		{r.Server, "vsftpd", "the FTP server", "vsftpd -v 0>&1", `version (\S+)`}, // it writes to its standard input
		{r.Gateway, "ftpalg", "opens the firewall for what the dialogue announces", "ftpalg version", `ftpalg (\S+)`},
		{r.Gateway, "nftables", "writes the firewall's rules", "nft --version", `v(\S+)`},
		{r.Gateway, "Linux", "forwards packets, and drops those that the rules do not admit", "uname -r", `(\S+)`},
	} {
		c := p.host.Command(ctx, "sh", "-c", p.command)
		c.SysProcAttr = apart()
		out, err := c.Output()
		if err != nil {
			return nil, fmt.Errorf("asking %s for its version: %w", p.name, err)
		}
		version := "unknown"
		if found := regexp.MustCompile(p.version).FindSubmatch(out); found != nil {
			version = string(found[1])
		}
		programs = append(programs, Program{Name: p.name, Version: version, Role: p.role})
	}
	return programs, nil
}

// teller tells a story step by step.
type teller struct {
	Story
	packets       []*packet
	first, second *session
}

func (t *teller) tellSteps() error {
	for _, tell := range []func() (Step, error){
		t.detour, t.opening, t.login, t.port, t.download, t.listing, t.upload, t.challenge, t.answer,
	} {
		if err := t.add(tell); err != nil {
			return err
		}
	}
	return nil
}

// add adds the next step.
func (t *teller) add(tell func() (Step, error)) error {
	number := len(t.Steps) + 1
	step, err := tell()
	if err != nil {
		return fmt.Errorf("tell step %d: %w", number, err)
	}
	step.Number = number
	t.Steps = append(t.Steps, step)
	return nil
}

// ms writes a duration in milliseconds.
func ms(d time.Duration) string { return fmt.Sprintf("%.2f", float64(d)/float64(time.Millisecond)) }
