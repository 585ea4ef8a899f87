"""An issue's life: compose, approve, freeze, render, check."""
