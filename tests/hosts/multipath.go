// SPDX-License-Identifier: MIT

// An MPTCP listener, as Go creates them since 1.24, whichever version builds this. It accepts a plain
// TCP connection and prints its user timeout in ms.
package main

import (
	"fmt"
	"net"
	"os"
	"syscall"
)

const ipprotoMPTCP, tcpUserTimeout = 262, 18

func check(err error) {
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func listen() net.Listener {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, ipprotoMPTCP)
	check(err)
	check(syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	check(syscall.Listen(fd, 8))
	listener, err := net.FileListener(os.NewFile(uintptr(fd), "listener"))
	check(err)
	return listener
}

func main() {
	listener := listen()
	client, err := net.Dial("tcp4", listener.Addr().String())
	check(err)
	server, err := listener.Accept()
	check(err)
	raw, err := server.(*net.TCPConn).SyscallConn()
	check(err)
	raw.Control(func(fd uintptr) {
		timeout, err := syscall.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout)
		check(err)
		fmt.Println(timeout)
	})
	client.Close()
}
