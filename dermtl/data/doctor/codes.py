"""Every kind of fault: its stable code, its severity and the next step."""

from collections.abc import Mapping

_E, _W = "error", "warning"

CODES: Mapping[str, tuple[str, str]] = {
    # the table
    "no-table": (_E, "check the path"),
    "empty-table": (_E, "the first line names the columns, each further line a picture"),
    "encoding": (_E, "save the table as CSV UTF-8"),
    "separator-line": (_E, "delete this line, which only spreadsheets know"),
    "separators": (_E, "use one separator in the whole table"),
    "cell-count": (_E, "quote cells that hold the separator"),
    "quoting": (_E, "close every quote, and double a quote inside a quoted cell"),
    "duplicate-column": (_E, "rename one"),
    "no-column": (_E, "add the column, or name another in the experiment"),
    "table-changed": (_W, "import again, or delete the lock where the edit is meant"),
    "lock-unreadable": (_W, "delete the lock, or import again"),
    "class-folders": (_E, "expected <class>/x.jpg or <split>/<class>/x.jpg"),
    # rows and paths
    "empty-image": (_E, "name the picture, or take the row out"),
    "duplicate-row": (_E, "keep one"),
    "duplicate-path": (_E, "one row a picture"),
    "path-case": (_E, "write the name as the file is called"),
    "path-parent": (_E, "move the file into the data's folder"),
    "path-absolute": (_E, "write the path relative to the data's folder"),
    "path-control": (_E, "take control characters and line ends out of the name"),
    "path-backslash": (_W, "write forward slashes"),
    "path-link": (_W, "copy the file into the data's folder: the link breaks when the folder moves"),
    # pictures
    "missing-file": (_E, "add the file, or take the row out"),
    "empty-file": (_E, "copy the file again"),
    "file-changed": (_E, "fetch the file again; where the change is meant, import again"),
    "truncated": (_E, "copy the file again"),
    "unreadable": (_E, "replace the file"),
    "refused-format": (_E, "convert it to PNG or JPEG"),
    "multi-frame": (_E, "save one frame a file"),
    "too-large": (_E, "make it smaller"),
    "wrong-extension": (_W, "rename the file"),
    "tiny": (_E, "is it a thumbnail? find the picture itself"),
    "constant": (_E, "replace the picture, or take the row out"),
    "near-black": (_W, "look at it"),
    "near-blank": (_W, "look at it"),
    "mixed-modes": (_W, "fine where it is meant; a model may learn the difference instead of the disease"),
    "equal-pixels": (_W, "keep one, or give both the same group"),
    "equal-pixels-labels": (_E, "one of the labels is wrong"),
    # labels and numbers
    "unknown-class": (_E, "correct the cell, or add the class"),
    "class-spelling": (_E, "spell every class in one way"),
    "class-blanks": (_W, "take the blanks away"),
    "few-groups": (_W, "a class needs groups on every side of the split"),
    "one-hot-sum": (_E, "exactly one of the columns holds 1"),
    "not-a-number": (_E, "write a number, or leave the cell empty"),
    "nan": (_E, "leave the cell empty where nothing is known"),
    "infinite": (_E, "write a number, or leave the cell empty"),
    "annotation": (_E, "correct the cell"),
    # masks
    "mask-missing": (_E, "add the file, or leave the cell empty"),
    "mask-unreadable": (_E, "replace the file"),
    "mask-coloured": (_E, "save it with one channel"),
    "mask-size": (_E, "a mask has its picture's size"),
    "mask-orientation": (_E, "turn the mask as the picture's EXIF orientation says"),
    "mask-turned": (_W, "make sure that the mask was drawn on the upright picture"),
    "mask-values": (_E, "expected 0 and 255, or 0 and 1, or the numbers of the classes"),
    "mask-stray": (_W, "levels above 127 count as foreground; save masks without loss"),
    "mask-empty": (_W, "leave the cell empty where no mask was drawn"),
    "mask-full": (_W, "look at it: is the mask inverted?"),
    # circles
    "circle-incomplete": (_E, "fill all three cells, or none"),
    "circle-outside": (_E, "centres are in pixels of the stored picture, after EXIF rotation"),
    "circle-radius": (_E, "a radius is above 0"),
    # groups and splits
    "giant-group": (_W, "does the value stand for 'unknown'? then leave the cell empty"),
    "group-missing": (_W, "such a picture is a group of its own, and could leak"),
    "split-value": (_E, "expected train, val or test"),
    "group-split": (_E, "put all pictures of a group on one side"),
}
