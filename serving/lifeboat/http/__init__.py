"""HTTP/1.1, as the model server, the detector and the trigger share it."""
