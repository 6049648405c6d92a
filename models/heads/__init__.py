"""What answers: each file holds a head and the result type it speaks."""
