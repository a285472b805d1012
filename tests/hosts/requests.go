// SPDX-License-Identifier: MIT
//
// An HTTP server and its client in one process: so many requests, each on its own connection, and one
// refused connection. Then it exits at once.
package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
)

func fail(what ...any) {
	fmt.Println(what...)
	os.Exit(1)
}

func main() {
	count, err := strconv.Atoi(os.Args[1])
	if err != nil {
		fail(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fail(err)
	}
	go http.Serve(listener, http.HandlerFunc(func(to http.ResponseWriter, _ *http.Request) {
		io.WriteString(to, strings.Repeat("a", 500))
	}))
	if _, err := net.Dial("tcp", "127.0.0.1:1"); err == nil {
		fail("port 1 is open")
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for i := 0; i < count; i++ {
		answer, err := client.Get("http://" + listener.Addr().String() + "/")
		if err != nil {
			fail(err)
		}
		if body, err := io.ReadAll(answer.Body); err != nil || len(body) != 500 {
			fail(len(body), err)
		}
		answer.Body.Close()
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
}
