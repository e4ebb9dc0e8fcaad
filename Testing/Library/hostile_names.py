"""Names that lead somewhere else, or nowhere, on one system or another."""

LEADING_OUT = (
    "", ".", "..", "../victim", "../../victim", "a/../../victim", "/etc/victim", "//server/share/victim", "C:\\victim", "C:victim",
    "\\\\server\\victim", "..\\victim", "a//b", "a/./b", "a/", "~/../victim\0", "a\nb", "con", "NUL.txt", "imagesTr/COM1.nii.gz", "lpt9",
    "COM\u00b9", "a.", "a ", "a/b. ", "x" * 300, "\ud800", "a*b", "a?b", "a|b", "<a>", '"a"', "file:///etc/victim",
)  # fmt: skip
