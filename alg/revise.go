package alg

import "time"

// Revise puts another policy in force, for the sessions that there are too: what it does
// not admit is not announced, nor open, any more. Ports and DenyTLS have to be as they
// were, as the packet filter has rules for them. What Limits has is set apart.
//
// It takes time with the number of sessions, some 10 ms for a hundred thousand.
func (w *Worker) Revise(now time.Time, p Policy) Result {
	w.begin(now)
	old := w.Policy // the sessions' rules are in there
	w.Policy = p
	w.opened.shorten(openFor(&p), w.clock())
	for _, s := range w.sessions {
		s.revise(&old)
	}
	w.leave()
	w.commit()
	return w.res
}

// revise has a session go on by the rules that the policy has for it now.
func (s *session) revise(old *Policy) {
	s.rules = old.RulesFor(s.flow.Server.Addr())
	if rules := s.w.Policy.RulesFor(s.flow.Server.Addr()); rules.FTPSPorts == s.rules.FTPSPorts {
		s.rules = rules
	} else {
		s.readmit(rules)
	}
	if s.gone || s.ended() { // what was condemned does not pass, whomever is helped
		return
	}
	if !s.w.helps(s.flow) {
		const why = "the configuration has its ends be helped no more"
		s.decide(s.talk.Withdraw(why, nil))
		s.talk.End(why, nil)
		s.stand()
		s.giveUp(why)
		return
	}
	terms := s.terms()
	s.decide(s.talk.Revise(&terms, nil))
	if a := s.announced; a.stage == waiting && a.known {
		a.pinhole.SourcePorts = s.pinholeOf(s.talk.Live()).SourcePorts
	}
	s.vouch()
}

// readmit has an encrypted session admit what other rules say. Where they name no ports,
// nothing is left to be followed.
func (s *session) readmit(rules *Rules) {
	admits := s.encryption != nil && s.encryption.admits
	s.revoke()
	s.rules = rules
	switch none := rules.FTPSPorts == (Ports{}); {
	case s.encryption == nil:
	case none && !admits: // its packets are still diverted
		s.change(Op{Kind: OpRelease, Flow: s.flow})
		fallthrough
	case none:
		s.encryption.anew.stop()
		s.encryption = nil
		s.giveUp("encrypted")
	case admits:
		s.encryption.admits = true
		s.admit(true)
	}
}
