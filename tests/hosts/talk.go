// SPDX-License-Identifier: MIT
//
// An HTTP server and its client in one process, which keeps the connection open. Go sets
// TCP_NODELAY and keepalive on both ends by itself.
package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"
)

func fail(err error) {
	fmt.Println("error:", err)
	os.Exit(1)
}

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fail(err)
	}
	go http.Serve(listener, http.HandlerFunc(func(to http.ResponseWriter, _ *http.Request) {
		io.WriteString(to, "hello")
	}))
	answer, err := http.Get("http://" + listener.Addr().String() + "/")
	if err != nil {
		fail(err)
	}
	body, err := io.ReadAll(answer.Body)
	answer.Body.Close()
	if err != nil || string(body) != "hello" {
		fail(err)
	}
	fmt.Println("ready")
	time.Sleep(time.Minute)
}
