package attack

import (
	"context"
	"errors"
	"net"
	"time"
)

// playAndReset plays the script, makes its data connection, and has the client reset it.
// Where the firewall does not let the server in, there is none.
func (s *scene) playAndReset(ctx context.Context) error {
	if err := s.play(s.script); err != nil {
		return err
	}
	within, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	data, err := s.attacker.DialFrom(within, s.source(), "tcp", s.target.String())
	if timeout := net.Error(nil); errors.As(err, &timeout) && timeout.Timeout() {
		return s.play("S: 425 no")
	}
	if err != nil {
		return err
	}
	defer data.Close()
	_ = s.victim.SetDeadline(time.Now().Add(arrival))
	received, err := s.victim.AcceptTCP()
	if err != nil {
		return err
	}
	if err := s.play("S: 150 here it comes"); err != nil {
		return err
	}
	if err := errors.Join(received.SetLinger(0), received.Close()); err != nil {
		return err
	}
	_ = data.SetReadDeadline(time.Now().Add(arrival))
	if _, err := data.Read(make([]byte, 1)); err == nil {
		return errors.New("the reset of a data connection did not arrive")
	}
	return s.play("S: 426 broken")
}

// tryAfterReset tries again at once.
func tryAfterReset(ctx context.Context, s *scene) (cell Cell, err error) {
	if err := s.playAndReset(ctx); err != nil {
		return cell, err
	}
	return s.try(ctx)
}

// tryAfterResetAndEnd tries a second after the end of the session.
func tryAfterResetAndEnd(ctx context.Context, s *scene) (cell Cell, err error) {
	if err := s.playAndReset(ctx); err != nil {
		return cell, err
	}
	if err := s.play("C: QUIT\nS: 221 bye"); err != nil {
		return cell, err
	}
	s.close()
	if err := sleep(ctx, time.Second); err != nil {
		return cell, err
	}
	return s.try(ctx)
}
