package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ftpalg/ftpalg/cmd/ftplab/internal/story"
)

// topology draws the hosts, from the client to the server, who opens what, and the
// strangers on the server's side.
func topology(hosts []story.Host) figure {
	chain, strangers := hosts, []story.Host(nil)
	if i := slices.IndexFunc(hosts, func(h story.Host) bool { return h.Name == "server" }); i >= 0 {
		chain, strangers = hosts[:i+1], hosts[i+1:]
	}
	var names []string
	for _, h := range hosts {
		names = append(names, fmt.Sprintf("%s, %v, %v, %s", h.Name, h.IPv4, h.IPv6, h.About))
	}
	return figure{
		ID:    "topology",
		Title: "The network of the lab",
		Desc: "Client, router, gateway and server in a row. The control connection goes from the client to the server. The data " +
			"connection comes back from the server, from outside, through a hole in the wall that the gateway is. A stranger " +
			"on the server's network can send the same, and the wall stops it. The hosts: " + strings.Join(names, "; ") + ".",
		Wide: wideTopology(chain, strangers), Narrow: narrowTopology(chain, strangers),
	}
}

func wideTopology(chain, strangers []story.Host) drawing {
	const (
		left, right  = 12, 988           // middle of the first and of the last host
		out, in, off = 100, 170, 250     // y of the arrows: control, data, and a stranger's
		top, names   = 30, off + 30 + 40 // of the wall; of the names of the hosts
	)
	d := drawing{Width: 1000, Height: names + 120}
	for i, h := range chain {
		x := left + i*(right-left)/max(len(chain)-1, 1)
		switch {
		case h.Name == "gateway":
			d.text("zone end", x-30, top+14, "inside")
			d.text("zone", x+30, top+14, "outside")
			d.wall(x-9, top, 18, out-9-top)
			d.wall(x-9, out+9, 18, in-18-out-9)
			d.wall(x-9, in+18, 18, off+30-in-18)
			d.path("rim", "M%d %dh36M%d %dh36", x-18, in-18, x-18, in+18)
			for j, s := range strangers {
				y := off + 40*j
				d.text("said strange end", right-30, y-14, s.Name+" "+s.IPv4.String())
				d.path("strange", "M%d %dH%d", right-14, y, x+26)
				d.path("node strange", "M%d %dm-12 0a12 12 0 1 0 24 0a12 12 0 1 0 -24 0z", right, y)
				d.cross(x+24, y)
			}
		case i == 0 || i == len(chain)-1:
			d.path("node", "M%d %dh24v%dh-24z", x-12, out-24, in-out+48)
		default:
			d.path("node hop", "M%d %dm-9 0a9 9 0 1 0 18 0a9 9 0 1 0 -18 0z", x, out)
			d.path("node hop", "M%d %dm-9 0a9 9 0 1 0 18 0a9 9 0 1 0 -18 0z", x, in)
		}
		class, x := " middle", x
		switch i {
		case 0:
			class, x = "", 0
		case len(chain) - 1:
			class, x = " end", d.Width
		}
		d.text("host"+class, x, names, h.Name)
		d.text("address"+class, x, names+26, h.IPv4.String())
		d.text("address"+class, x, names+46, h.IPv6.String())
		d.lines("about"+class, x, names+74, lineHeight+1, wrap(h.About, 25))
	}
	d.arrow("control", left+12, out, right-14, out)
	d.arrow("data", right-12, in, left+14, in)
	d.text("said control", left+30, out-14, "control: client → port 21")
	d.text("said data end", right-30, in-14, "data: port 20 → client")
	return d
}

func narrowTopology(chain, strangers []story.Host) drawing {
	const (
		out, in, off = 22, 54, 92 // x of the arrows
		text         = 124
		top, each    = 24, 106
	)
	d := drawing{Width: 300, Height: each * (len(chain) + len(strangers))}
	bottom := top + each*(len(chain)-1)
	for i, h := range append(slices.Clip(chain), strangers...) {
		y := top + i*each
		switch {
		case h.Name == "gateway":
			d.wall(0, y-6, out-7, 12)
			d.wall(out+7, y-6, in-14-out-7, 12)
			d.wall(in+14, y-6, off-in, 12)
			d.path("rim", "M%d %dv28M%d %dv28", in-14, y-14, in+14, y-14)
			for j := range strangers {
				d.path("strange", "M%d %dV%d", off, bottom+each*(j+1)-10, y+24)
				d.cross(off, y+22)
			}
		case i == 0 || i == len(chain)-1:
			d.path("node", "M%d %dh%dv20h%dz", out-14, y-10, in-out+28, out-in-28)
		case i >= len(chain):
			d.path("node strange", "M%d %dm-10 0a10 10 0 1 0 20 0a10 10 0 1 0 -20 0z", off, y)
		default:
			d.path("node hop", "M%d %dm-7 0a7 7 0 1 0 14 0a7 7 0 1 0 -14 0z", out, y)
			d.path("node hop", "M%d %dm-7 0a7 7 0 1 0 14 0a7 7 0 1 0 -14 0z", in, y)
		}
		d.text("host", text, y+6, h.Name)
		d.text("address", text, y+26, h.IPv4.String())
		d.lines("about", text, y+46, lineHeight-1, wrap(h.About, 20))
	}
	d.path("control", "M%d %dV%d", out, top+10, bottom-12)
	d.path("control head", "M%d %dl-6 -12h12z", out, bottom-12)
	d.path("data", "M%d %dV%d", in, bottom-10, top+12)
	d.path("data head", "M%d %dl-6 12m6 -12l6 12", in, top+12)
	return d
}
