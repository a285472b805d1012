// SPDX-License-Identifier: MIT
//
// Connects to itself again and again, and prints for each connection whether it is tuned: whether a
// rule has set TCP_USER_TIMEOUT.
package main

import (
	"fmt"
	"net"
	"syscall"
	"time"
)

const tcpUserTimeout = 18

func timeoutOf(connection *net.TCPConn) (value int, err error) {
	raw, err := connection.SyscallConn()
	if err != nil {
		return 0, err
	}
	raw.Control(func(fd uintptr) {
		value, err = syscall.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout)
	})
	return value, err
}

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println("error:", err)
		return
	}
	go func() {
		for {
			if connection, err := listener.Accept(); err == nil {
				connection.Close()
			}
		}
	}()
	fmt.Println("ready")
	for {
		connection, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			fmt.Println("error:", err)
			return
		}
		if value, err := timeoutOf(connection.(*net.TCPConn)); err != nil {
			fmt.Println("error:", err)
		} else if value != 0 {
			fmt.Println("tuned")
		} else {
			fmt.Println("plain")
		}
		connection.Close()
		time.Sleep(20 * time.Millisecond)
	}
}
