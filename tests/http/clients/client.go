// Go's net/http, which Seldon's executor uses.
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
)

func ask(method, url string, body io.Reader) {
	request, err := http.NewRequest(method, url, body)
	if err != nil {
		panic(err)
	}
	request.Header.Set("content-type", "application/json")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		panic(err)
	}
	defer answer.Body.Close()
	content, err := io.ReadAll(answer.Body)
	if err != nil {
		panic(err)
	}
	fmt.Println(answer.StatusCode, len(content))
}

func main() {
	url, body := os.Args[1], os.Args[2]
	ask("POST", url+"/predict", strings.NewReader(body))
	ask("POST", url+"/predict", strings.NewReader(body))
	// Of a reader that hides its length, Go makes chunks.
	ask("POST", url+"/predict", io.MultiReader(strings.NewReader(body)))
	ask("POST", url+"/predict", strings.NewReader("{"))
	ask("HEAD", url+"/live", nil)
}
