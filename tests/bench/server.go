// SPDX-License-Identifier: MIT
//
// The HTTP server under load: prints its port, then answers every request.
package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
)

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	http.Serve(listener, http.HandlerFunc(func(to http.ResponseWriter, _ *http.Request) {
		io.WriteString(to, "hello")
	}))
}
