"""Building blocks of a page: escaped HTML, the frame, charts as SVG."""
