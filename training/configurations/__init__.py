"""The configurations of `sslkd compare` that come with SSLKD."""
