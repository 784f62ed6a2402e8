package check

import (
	"fmt"
	"net"
)

// mostLinks bounds the interfaces that are tried by name, each with each. Where there are
// more, rules about interfaces are taken to match or not.
const mostLinks = 6

// links returns the interfaces that packets come in by: those with an address.
func links() ([]link, error) {
	all, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("listing the interfaces: %w", err)
	}
	var found []link
	for _, i := range all {
		addresses, err := i.Addrs()
		if err == nil && len(addresses) > 0 && i.Flags&net.FlagUp != 0 && i.Flags&net.FlagLoopback == 0 {
			found = append(found, link{i.Name, i.Index})
		}
	}
	return found, nil
}

// pairs returns what a connection may come in and leave by.
func pairs() ([][2]link, error) {
	all, err := links()
	if err != nil {
		return nil, err
	}
	if len(all) < 2 || len(all) > mostLinks {
		return [][2]link{{anyLink, anyLink}}, nil
	}
	var found [][2]link
	for _, a := range all {
		for _, b := range all {
			if a != b {
				found = append(found, [2]link{a, b})
			}
		}
	}
	return found, nil
}
