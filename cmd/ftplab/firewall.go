package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ftpalg/ftpalg/cmd/ftplab/internal/attack"
	"github.com/ftpalg/ftpalg/deploy/lab"
)

// orderSocket is where the keeper of a standing lab takes orders, in the lab's /run.
const orderSocket = "/run/lab/keeper"

// order is what a keeper is asked to do; answer is what it says after that. Each is one
// JSON object, and there is one of each in a connection.
type order struct {
	Firewall string `json:"firewall,omitempty"` // to put in force; empty: none other
}

type answer struct {
	Firewall string   `json:"firewall"`        // in force; empty: none as it should be
	About    string   `json:"about"`           // in plain words
	NAT      []string `json:"nat,omitempty"`   // how the gateway translates addresses
	Log      string   `json:"log,omitempty"`   // of ftpalg, where it runs
	Error    string   `json:"error,omitempty"` // why the order was not carried out
}

func firewallCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "firewall [NAME]",
		Short: "Tell which firewall a standing lab has, or give it another: " + strings.Join(attack.Names(), ", "),
		Args:  cobra.MaximumNArgs(1),
	}
	name := labFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		l, err := lab.Attach(*name)
		if err != nil {
			return hint(err)
		}
		a, err := ask(c.Context(), l, order{Firewall: strings.Join(args, "")})
		if err = errors.Join(err, l.Close()); err != nil {
			return err
		}
		return a.print(c.OutOrStdout())
	}
	return c
}

func (a answer) print(w io.Writer) error {
	text := a.About + "\n"
	if a.Firewall != "" {
		text = a.Firewall + " is in force. " + text
	}
	if len(a.NAT) > 0 {
		text += "The gateway translates addresses: " + strings.Join(a.NAT, " and ") + ".\n"
	}
	if a.Log != "" {
		text += fmt.Sprintf("The log of ftpalg, on the gateway: %s\n", a.Log)
	}
	_, err := io.WriteString(w, text)
	return err
}

// ask gives an order to the keeper of a lab, and returns its answer.
func ask(ctx context.Context, l *lab.Lab, o order) (a answer, err error) {
	conn, err := new(net.Dialer).DialContext(ctx, "unix", l.Path(orderSocket))
	if errors.Is(err, os.ErrNotExist) {
		return a, fmt.Errorf("lab %s takes no orders: `ftplab up` has not built it", l.Name)
	}
	if err != nil {
		return a, fmt.Errorf("reach the keeper of lab %s: %w", l.Name, err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	err = json.NewEncoder(conn).Encode(o)
	if err == nil {
		err = json.NewDecoder(conn).Decode(&a)
	}
	switch {
	case ctx.Err() != nil:
		return a, ctx.Err()
	case err != nil:
		return a, fmt.Errorf("asking the keeper of lab %s: %w", l.Name, err)
	case a.Error != "":
		return a, errors.New(a.Error)
	}
	return a, nil
}

// takeOrders listens for the orders that obey carries out.
func takeOrders(l *lab.Lab) (net.Listener, error) {
	ln, err := net.Listen("unix", l.Path(orderSocket))
	if err != nil {
		return nil, fmt.Errorf("listening for orders: %w", err)
	}
	return ln, nil
}

// obey carries out orders, one after the other, until ctx or the lab ends. Whatever the
// firewall, the gateway of the lab goes on to translate.
func obey(ctx context.Context, l *lab.Lab, g *attack.Gate, nat []string, orders net.Listener) error {
	stop := context.AfterFunc(ctx, func() { orders.Close() })
	defer stop()
	go func() {
		<-l.Done()
		orders.Close()
	}()
	for {
		conn, err := orders.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("waiting for orders: %w", err)
		}
		carryOut(ctx, g, nat, conn)
		conn.Close()
	}
}

// carryOut reads an order, does what it says, and answers. One who does not wait for the
// answer gets none.
func carryOut(ctx context.Context, g *attack.Gate, nat []string, conn net.Conn) {
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	var o order
	if err := json.NewDecoder(conn).Decode(&o); err != nil {
		return
	}
	var a answer
	if o.Firewall != "" {
		if err := g.Switch(ctx, o.Firewall); err != nil {
			a.Error = err.Error()
		}
	}
	a.Firewall, a.About, a.NAT = g.Name(), g.About(), nat
	if d := g.Daemon(); d != nil {
		a.Log = d.LogFile
	}
	_ = json.NewEncoder(conn).Encode(a)
}
