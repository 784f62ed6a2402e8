package alg_test

import (
	"testing"

	"github.com/ftpalg/ftpalg/alg"
)

// What ends the belief in 227 and 229: open passive pinholes are closed, it is told once,
// and active mode goes on.
func TestWhatEndsTheBeliefIn227(t *testing.T) {
	for name, say := range map[string]func(x *wire){
		"a line that is no reply":              func(x *wire) { x.s("noise") },
		"a line that begins with a space":      func(x *wire) { x.s(" 200 x") },
		"an empty line":                        func(x *wire) { x.s("") },
		"two digits":                           func(x *wire) { x.c("NOOP"); x.s("20 x") },
		"four digits":                          func(x *wire) { x.c("NOOP"); x.s("2000 x") },
		"a code and a letter":                  func(x *wire) { x.c("NOOP"); x.s("200x") },
		"a surplus reply":                      func(x *wire) { x.s("200 x") },
		"a surplus reply behind its command's": func(x *wire) { x.c("NOOP"); x.s("200 x", "200 x") },
		"a surplus multi-line reply":           func(x *wire) { x.s("211-x\r\n211 x") },
		"a surplus 227":                        func(x *wire) { x.s(evil227) },
		"a second 227 for one PASV":            func(x *wire) { x.c("PASV"); x.s(ok227, evil227) },
		"a second 229 for one EPSV":            func(x *wire) { x.c("EPSV"); x.s("229 (|||46197|)", "229 (|||8081|)") },
	} {
		t.Run(name, func(t *testing.T) {
			x := newWire(t).login()
			say(x)
			x.wantNot8081()
			x.wantPassiveOff()

			x = newWire(t).login()
			x.wantPassive()
			say(x)
			x.wantPassiveOff()
		})
	}
}

func TestWhatDoesNotEndTheBeliefIn227(t *testing.T) {
	for name, say := range map[string]func(x *wire){
		"lines inside a multi-line reply": func(x *wire) { x.c("HELP"); x.s("214-x\r\nnoise\r\n\r\n" + evil227 + "\r\n 214 x\r\n214 End") },
		"a preliminary reply":             func(x *wire) { x.s("150 x"); x.c("NOOP"); x.s("200 x") },
		"421 unasked":                     func(x *wire) { x.s("421 x") },
		"a refusal":                       func(x *wire) { x.c("PASV"); x.s("500 x") },
	} {
		t.Run(name, func(t *testing.T) {
			x := newWire(t).login()
			say(x)
			x.wantCount(alg.PassiveOff, 0)
			if name != "421 unasked" {
				x.wantPassive()
				x.wantNot8081()
			}
		})
	}
}

// A 227 that finds its PASV behind others answers that one.
func TestA227FindsItsPASVBehindOthers(t *testing.T) {
	x := newWire(t).login()
	x.c("NOOP", "PASV")
	x.s(ok227)
	x.wantOpen(x.passive(46197))
}
