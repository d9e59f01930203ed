"""``zipllm explain``.

as_json    what every token cost, as an object of JSON
command    the command and its options
map        what every token cost, in colors or signs for the terminal
"""
