"""The witness over HTTP: `qai witness serve`, and the client that asks other people's witnesses."""
